"""Laws of places: which settings file is read, and which folder is the data folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.settings import places
from registry.settings.loading import load_configuration, load_settings
from registry.settings.places import find_base, find_config, find_own_file

ROOT, USER = 0, 1000
Become = Callable[[int], None]


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of an own: the current one, a home, a checkout and /etc; none has a file yet."""
    for name in ("here", "home", "checkout", "etc"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(places, "PROJECT", tmp_path / "checkout")
    monkeypatch.setattr(places, "SYSTEM_FILE", tmp_path / "etc" / "entrepot.toml")
    return tmp_path


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Become:
    """Lets the code see another user id."""
    return lambda user: monkeypatch.setattr(os, "geteuid", lambda: user)


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def make_checkout(site: Path, name: str = "checkout") -> None:
    write(site / name / "pyproject.toml")
    write(site / name / "registry" / "__main__.py")
    write(site / name / "config" / "entrepot.toml")


def environ(site: Path) -> dict[str, str]:
    return {"HOME": str(site / "home")}


HERE, HERE_SHIPPED = "here/entrepot.toml", "here/config/entrepot.toml"
OWN, SHIPPED = "checkout/entrepot.toml", "checkout/config/entrepot.toml"
PERSONAL, SYSTEM = "home/.config/entrepot/entrepot.toml", "etc/entrepot.toml"
ORDER = [HERE, HERE_SHIPPED, OWN, PERSONAL, SYSTEM, SHIPPED]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_a_file_of_the_operator_comes_first(site: Path, first: int) -> None:
    """Each file is read if none of those before it exists."""
    make_checkout(site)
    for name in ORDER[first:]:
        write(site / name)

    found = find_config(None, environ(site))

    assert found is not None
    assert site / ORDER[first] == found.absolute()


@pytest.mark.parametrize("is_checkout", [False, True])
@pytest.mark.parametrize("name", [PERSONAL, SYSTEM])
def test_the_template_of_a_checkout_is_not_taken_for_settings(
    site: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, is_checkout: bool
) -> None:
    """In a checkout as the current folder, the operator's file is read as elsewhere."""
    here = "checkout" if is_checkout else "here"
    make_checkout(site, here)
    monkeypatch.chdir(site / here)
    write(site / name)

    assert find_config(None, environ(site)) == site / name


def test_data_of_a_checkout_belongs_to_it(site: Path, become: Become) -> None:
    """An installed Entrepôt that is called there uses its own data, with a settings file or not."""
    become(USER)
    make_checkout(site, "here")
    make_data_folder(site / "here" / "data")
    own = site / "home/.local/share/entrepot/data"

    loaded = load_configuration(None, environ(site))

    assert loaded.file is None
    assert loaded.settings.storage.path == own
    assert loaded.note == f"{site}/here/data is a data folder too; {own} is used"


def test_a_second_instance_has_data_of_its_own(site: Path) -> None:
    """With --config in the folder of the first one, whose settings own the data there."""
    write(site / HERE)
    make_data_folder(site / "here" / "data")
    second = write(site / "second" / "entrepot.toml")

    loaded = load_configuration(second, environ(site))

    assert loaded.settings.storage.path == site / "second" / "data"


@pytest.mark.parametrize("name", [OWN, SHIPPED])
def test_an_installed_entrepot_has_no_checkout(site: Path, name: str) -> None:
    """Without pyproject.toml beside the code, no file is looked for there."""
    write(site / name)

    assert find_config(None, environ(site)) is None


@pytest.mark.parametrize(
    ("user", "is_checkout", "name"),
    [
        (USER, True, OWN),
        (ROOT, True, OWN),
        (USER, False, PERSONAL),
        (ROOT, False, SYSTEM),
    ],
)
def test_the_own_file_is_found_from_every_folder(
    site: Path, become: Become, user: int, is_checkout: bool, name: str
) -> None:
    """The file that `config init` writes is read wherever a command is called."""
    become(user)
    if is_checkout:
        make_checkout(site)

    own = find_own_file(environ(site))
    write(own)

    assert (own, find_config(None, environ(site))) == (site / name, own)


@pytest.mark.parametrize(
    ("file", "user", "base"),
    [
        ("/srv/mirror/entrepot.toml", USER, "/srv/mirror"),
        ("/srv/mirror/site-2.toml", ROOT, "/srv/mirror"),
        ("/srv/mirror/config/entrepot.toml", USER, "/srv/mirror"),
        ("/etc/entrepot/entrepot.toml", USER, "/var/lib/entrepot"),
        ("/etc/entrepot/config/second.toml", ROOT, "/var/lib/entrepot"),
        ("/home/ann/.config/entrepot/entrepot.toml", USER, "/home/ann/.local/share/entrepot"),
        ("/dev/null", USER, "/home/ann/.local/share/entrepot"),
        ("/dev/fd/63", ROOT, "/var/lib/entrepot"),
        ("/run/secrets/entrepot.toml", ROOT, "/var/lib/entrepot"),
        (None, USER, "/home/ann/.local/share/entrepot"),
        (None, ROOT, "/var/lib/entrepot"),
    ],
)
def test_where_a_relative_data_folder_is(
    become: Become, file: str | None, user: int, base: str
) -> None:
    """The place of the settings file decides, and without a file the user."""
    become(user)

    found = find_base(Path(file) if file else None, {"HOME": "/home/ann"})

    assert Path(base) == found


@pytest.mark.parametrize(
    ("variables", "data"),
    [
        ({"HOME": "/h", "XDG_DATA_HOME": "/big"}, "/big/entrepot"),
        ({"HOME": "/h", "XDG_DATA_HOME": "big"}, "/h/.local/share/entrepot"),
        ({"HOME": "/h", "XDG_DATA_HOME": ""}, "/h/.local/share/entrepot"),
        ({}, "/.local/share/entrepot"),
    ],
)
def test_folders_of_a_user(become: Become, variables: dict[str, str], data: str) -> None:
    """A relative XDG_DATA_HOME is ignored, as the specification says."""
    become(USER)

    assert Path(data) == find_base(None, variables)


@pytest.mark.parametrize(
    ("present", "path", "expected"),
    [
        ([], "data", "home/.local/share/entrepot/data"),
        ([SHIPPED], "data", "checkout/data"),
        ([SHIPPED, OWN], "data", "checkout/data"),
        ([SHIPPED, OWN], "../big", "big"),
        ([SHIPPED, OWN], "/mnt/big", "/mnt/big"),
        ([PERSONAL], "data", "home/.local/share/entrepot/data"),
        ([PERSONAL], "images", "home/.local/share/entrepot/images"),
    ],
)
def test_the_same_command_means_the_same_data_folder(
    site: Path,
    become: Become,
    monkeypatch: pytest.MonkeyPatch,
    present: list[str],
    path: str,
    expected: str,
) -> None:
    """Whatever folder it is called in, also in one that has a folder `data` of its own."""
    become(USER)
    if SHIPPED in present:
        make_checkout(site)
    for name in present:
        write(site / name, f'storage.path = "{path}"\n')
    found = set()
    for folder in ("here", "home", "checkout", "here/below", "checkout/registry"):
        (site / folder / "data").mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(site / folder)
        found.add(load_settings(None, environ(site)).storage.path)

    assert found == {site / expected}


def test_a_variable_is_relative_to_the_current_folder(site: Path) -> None:
    """It is part of the command, as a relative --config is."""
    settings = load_settings(None, environ(site) | {"ENTREPOT_STORAGE__PATH": "images"})

    assert settings.storage.path == site / "here" / "images"


def make_data_folder(path: Path) -> Path:
    write(path / "LAYOUT", "1\n")
    return path


@pytest.mark.parametrize(
    ("config", "file"),
    [
        (None, HERE_SHIPPED),
        (None, None),
        (None, PERSONAL),
        ("../etc/entrepot.toml", SYSTEM),
        ("config/entrepot.toml", HERE_SHIPPED),
    ],
)
def test_data_of_version_0_1_is_found_where_it_was(
    site: Path, become: Become, config: str | None, file: str | None
) -> None:
    """Version 0.1 kept its data in the folder that it was called in."""
    become(USER)
    if file:
        write(site / file, 'storage.path = "kept"\n')
    kept = make_data_folder(site / "here" / ("kept" if file else "data"))

    loaded = load_configuration(Path(config) if config else None, environ(site))

    assert loaded.settings.storage.path == kept
    is_moved = file != HERE_SHIPPED
    assert (f"{kept} is used" in loaded.note) == is_moved


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_data_folder_at_the_new_place_is_used(
    site: Path, become: Become, monkeypatch: pytest.MonkeyPatch, *, is_closed: bool
) -> None:
    """Then another one in the current folder is only mentioned; also if the user may not look."""
    become(USER)
    make_data_folder(site / "here" / "data")
    new = make_data_folder(site / "home" / ".local" / "share" / "entrepot" / "data")
    look = Path.exists

    def refuse(path: Path) -> bool:
        if is_closed and path.is_relative_to(new):
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(Path, "exists", refuse)
    loaded = load_configuration(None, environ(site))

    assert loaded.settings.storage.path == new
    assert loaded.note == f"{site}/here/data is a data folder too; {new} is used"


@pytest.mark.parametrize("kind", ["a folder of somebody else", "a file", "nothing"])
def test_only_a_data_folder_is_taken_for_one_of_version_0_1(
    site: Path, become: Become, kind: str
) -> None:
    """Another folder `data` in the current folder changes nothing."""
    become(USER)
    other = site / "here" / "data"
    if kind == "a file":
        write(other)
    elif kind == "a folder of somebody else":
        write(other / "measurements.csv")

    loaded = load_configuration(None, environ(site))

    assert loaded.settings.storage.path == site / "home/.local/share/entrepot/data"
    assert loaded.note == ""
