"""Laws of `entrepot config`: what it prints, and with which exit code."""

import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.config import build_config_app
from registry.settings import places
from registry.settings.loading import load_settings
from registry.settings.model import Settings
from registry.store.data_folder import open_folder
from registry.store.files import take_lock

BAD = "entrepot: {}/some.toml:1: storage.limt: no such setting; did you mean storage.limit?\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "PROJECT", tmp_path / "no checkout")
    monkeypatch.setattr(places, "SYSTEM_FILE", tmp_path / "no file")
    monkeypatch.setattr(places, "SYSTEM_DATA", tmp_path / "state")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("ENTREPOT_CONFIG", raising=False)
    for key in ("LISTEN", "CONSOLE"):  # the usual ports may be taken on this machine
        monkeypatch.setenv(f"ENTREPOT_SERVER__{key}", "127.0.0.1:0")
    return tmp_path


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(build_config_app(), words, env=environ)


def find_data(folder: Path) -> Path:
    """Return where data is without a settings file, for the user who runs the tests."""
    return folder / ("state" if os.geteuid() == 0 else "share/entrepot") / "data"


def test_check_accepts(folder: Path) -> None:
    """A usable file is named, with the number of upstreams, and the data folder."""
    Path("some.toml").write_text('[upstreams."registry.lan"]')

    result = run("check", "--config", "some.toml")

    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            f"ok: {folder}/some.toml, 9 upstreams",
            f"data folder: {folder}/data (it does not exist yet)",
        ],
    )


def test_check_accepts_the_defaults(folder: Path) -> None:
    """No file at all is usable."""
    assert run("check").stdout.splitlines() == [
        "ok: defaults (no file), 8 upstreams",
        f"data folder: {find_data(folder)} (it does not exist yet)",
    ]


def test_check_says_if_nothing_can_be_stored() -> None:
    """A reserve that is larger than the free space is usable, but no image would be stored."""
    result = run("check", ENTREPOT_STORAGE__RESERVE="9000TiB")

    assert result.exit_code == 0
    assert "note: nothing can be stored: " in result.stdout
    assert " are free on the disk, but storage.reserve keeps 9000 TiB; lower" in result.stdout


@pytest.mark.parametrize("is_running", [False, True])
def test_check_says_whether_a_server_uses_the_data_folder(
    folder: Path, *, is_running: bool
) -> None:
    """The lock of a running server shows it; the folder of a server that has ended does not."""
    data = open_folder(folder / "data").root
    run_folder = data / "metrics" / "one"
    run_folder.mkdir(parents=True)
    (run_folder / "lock").touch()
    Path("some.toml").touch()
    lock = take_lock(run_folder / "lock") if is_running else None

    result = run("check", "--config", "some.toml")
    answer = json.loads(run("check", "--json", "--config", "some.toml").stdout)

    use = "a server is using it" if is_running else "no server is using it"
    assert f"data folder: {data} ({use})\n" in result.stdout
    assert (answer["data"], answer["data_exists"]) == (str(data), True)
    assert answer["server_running"] is is_running
    if lock is not None:
        os.close(lock)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["letters.txt"], "it contains letters.txt, and no LAYOUT file"),
        ([".bashrc"], "it contains .bashrc, and no LAYOUT file"),
        (["a/LAYOUT"], "it contains a, and no LAYOUT file"),
        (["blobs/photo.jpg"], "it contains blobs, and no LAYOUT file"),
        (["catalog.db"], "it contains catalog.db, and no LAYOUT file"),
        (None, "cannot be used (Not a directory)"),
    ],
)
def test_check_refuses_a_data_folder_of_another_program(
    folder: Path, names: list[str] | None, problem: str
) -> None:
    """What `serve` would refuse is refused here, and nothing in the folder is changed."""
    data = folder / "data"
    for name in names or []:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    if names is None:
        data.touch()
    Path("some.toml").touch()
    before = sorted(folder.rglob("*"))

    result = run("check", "--config", "some.toml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"entrepot: {folder}/some.toml: storage.path: {data} ")
    assert problem in result.stderr
    assert sorted(folder.rglob("*")) == before


def test_check_reads_the_files_that_settings_name(folder: Path) -> None:
    """What is no certificate is refused, as `serve` does."""
    for name in ("cert.pem", "key.pem"):
        Path(name).write_text("garbage")
    Path("some.toml").write_text('[server]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n')

    result = run("check", "--config", "some.toml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        f"server.tls_cert: {folder}/cert.pem and {folder}/key.pem cannot be used" in result.stderr
    )


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_check_refuses_data_of_a_newer_version(folder: Path, words: list[str]) -> None:
    """One line says what to do."""
    (open_folder(folder / "data").root / "LAYOUT").write_text("99\n")
    Path("some.toml").touch()

    result = run("check", "--config", "some.toml", *words)

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "was written by a newer Entrepôt" in result.stderr
    assert not words or json.loads(result.stdout)["key"] == "storage.path"


@pytest.mark.parametrize("key", ["listen", "console"])
def test_check_mentions_an_address_that_is_taken(key: str) -> None:
    """It may be free when the server starts, so it is no error."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        taken = {f"ENTREPOT_SERVER__{key.upper()}": address}
        result = run("check", **taken)
        answer = json.loads(run("check", "--json", **taken).stdout)

    assert result.exit_code == 0
    assert f"note: server.{key}: cannot listen on {address} (" in result.stdout
    assert [note.partition(":")[0] for note in answer["notes"]] == [f"server.{key}"]


@pytest.mark.parametrize(("required", "notes"), [("", 1), ("require_signature = true\n", 0)])
def test_check_says_that_bundles_have_to_be_signed(folder: Path, required: str, notes: int) -> None:
    """Keys did not mean that before, so there is a note until the operator confirms it."""
    (folder / "maker.pub.pem").touch()
    Path("some.toml").write_text(f'[bundles]\nkeys = ["maker.pub.pem"]\n{required}')

    answer = json.loads(run("check", "--json", "--config", "some.toml").stdout)

    assert [note.partition(":")[0] for note in answer["notes"]] == ["bundles.keys"] * notes


@pytest.mark.parametrize(
    ("path", "code"), [("/etc", 2), ("/", 2), ("/opt/nobody/here", 0), ("/proc/entrepot", 2)]
)
@pytest.mark.parametrize("command", ["check", "show"])
def test_no_command_of_config_makes_a_folder(
    folder: Path, path: str, code: int, command: str
) -> None:
    """Folders of the system, and folders that do not exist, stay as they are."""
    before = sorted(folder.rglob("*"))
    was_there = Path(path).exists()

    result = run(command, ENTREPOT_STORAGE__PATH=path)

    assert Path(path).exists() == was_there
    assert not (Path(path) / "LAYOUT").exists()
    assert sorted(folder.rglob("*")) == before
    assert result.exit_code == (code if command == "check" else 0)


@pytest.mark.parametrize("command", ["check", "show"])
def test_bad_configuration_is_one_line(folder: Path, command: str) -> None:
    """An unusable file is one line on stderr and exit code 2."""
    Path("some.toml").write_text("storage.limt = 1")

    result = run(command, "--config", "some.toml")

    assert (result.exit_code, result.stdout, result.stderr) == (
        2,
        "",
        BAD.format(folder),
    )


def test_bad_configuration_as_json() -> None:
    """With --json the key, the reason and the cure of an error are separate fields."""
    result = run("check", "--json", ENTREPOT_STORAGE__LIMIT="x")

    assert result.exit_code == 2
    assert json.loads(result.stdout)["key"] == "storage.limit"


def test_check_as_json(folder: Path) -> None:
    """With --json the answer is one JSON object."""
    answer = json.loads(run("check", "--json").stdout)

    assert answer == {
        "ok": True,
        "file": None,
        "upstreams": 8,
        "data": str(find_data(folder)),
        "data_exists": False,
        "server_running": False,
        "notes": [],
    }


def test_shown_configuration_loads_to_the_same(folder: Path) -> None:
    """What `show` prints is a configuration file."""
    (folder / "secret").write_text("hunter2")
    (folder / "some.toml").write_text(
        '[tags]\nimmutable = [\'v\\d+"\\.\\d+\']\n[upstreams."lan-1:5000"]\ndefault = true\n'
        'username = "ü"\npassword_file = "secret"\nendpoints = ["http://lan-1:5000"]'
    )
    settings = load_settings(folder / "some.toml", os.environ)

    shown = run("show", "--config", "some.toml").stdout
    (folder / "shown.toml").write_text(shown)

    assert settings == load_settings(folder / "shown.toml", {})
    assert "hunter2" not in shown


def test_show_as_json_reads_the_same() -> None:
    """With --json `show` prints the same settings."""
    shown = json.loads(run("show", "--json").stdout)

    assert load_settings(None, os.environ) == Settings.model_validate(shown)


@pytest.mark.parametrize("command", ["init", "check", "show"])
def test_help_has_an_example(command: str) -> None:
    """Every command shows how it is used."""
    result = run(command, "--help")

    assert (result.exit_code, "Example: " in result.stdout) == (0, True)
