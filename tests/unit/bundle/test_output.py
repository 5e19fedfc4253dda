"""Where `bundle create` writes: never without room, and beside other bundles."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from registry.cli.main import build_cli
from tests.harness.filled_folder import open_depot

LAYER = bytes(3_000_000)
Create = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a data folder with two images."""
    folder = tmp_path_factory.mktemp("depot")

    async def fill() -> None:
        async with open_depot(folder / "data") as depot:
            await depot.put_image("docker.io/library/large:1", [LAYER])
            await depot.put_image("docker.io/library/small:1", [b"small"])
            await depot.put_image("docker.io/library/former:1", [b"former"])

    asyncio.run(fill())
    path = folder / "entrepot.toml"
    path.write_text(f"storage.path = {json.dumps(str(folder / 'data'))}\n")
    return path


@pytest.fixture
def create(config: Path) -> Create:
    """Run `bundle create`, and return the exit code and what it says on stderr."""

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            build_cli(), ["bundle", "create", *words, "--config", str(config)]
        )
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stderr

    return run


def leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Have all disks say that so many bytes are free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def test_a_disk_without_room_is_told_before_the_first_byte(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wanted and what is free are named, and no file is begun."""
    leave(monkeypatch, 1_000_000)
    code, told = create("-o", str(tmp_path / "a.tar"), "large:1")
    assert code == 1
    assert "has 977 KiB free, and the bundle needs 2.87 MiB more" in told
    assert [*tmp_path.iterdir()] == []


def test_what_is_there_already_wants_no_room(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bundle once more is read, and not written."""
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0
    leave(monkeypatch, 1_000_000)
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0


def test_what_is_written_of_it_counts(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted file needs only the rest."""
    whole = tmp_path / "a.tar"
    assert create("-o", str(whole), "large:1")[0] == 0
    content = whole.read_bytes()
    whole.unlink()
    (tmp_path / "a.tar.part").write_bytes(content[:2_500_000])
    leave(monkeypatch, 1_000_000)
    assert create("-o", str(whole), "large:1")[0] == 0
    assert whole.read_bytes() == content


def test_sums_of_other_bundles_stay(create: Create, tmp_path: Path) -> None:
    """Two bundles in one folder are checked by one file; what is gone is not in it."""
    for name in ("large", "small"):
        words = ("-o", str(tmp_path / f"{name}.tar"), "--volume-size", "1MiB", f"{name}:1")
        assert create(*words)[0] == 0
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    told = subprocess.check_output(command, cwd=tmp_path, text=True)
    assert [line.partition("-")[0] for line in told.splitlines()] == ["large"] * 3 + ["small"]
    (tmp_path / "small-0001-of-0001.tar").unlink()
    assert create("-o", str(tmp_path / "large.tar"), "--volume-size", "1MiB", "large:1")[0] == 0
    assert "small" not in (tmp_path / "SHA256SUMS").read_text()


def test_create_and_info_say_the_same_readers(create: Create, config: Path, tmp_path: Path) -> None:
    """Of volumes both say that others have to have them joined."""
    words = ("-o", f"{tmp_path}/out/", "--volume-size", "1MiB", "small:1", "--json")
    done = CliRunner().invoke(build_cli(), ["bundle", "create", *words, "--config", str(config)])
    told = CliRunner().invoke(build_cli(), ["bundle", "info", f"{tmp_path}/out/", "--json"])
    assert json.loads(done.stdout)["readers"] == json.loads(told.stdout)["readers"]


def test_a_folder_for_volumes_is_made(create: Create, tmp_path: Path) -> None:
    """`-o out/` makes the folder, for volumes as without; a misspelt one of a file is told."""
    out = tmp_path / "new" / "out"
    assert create("-o", f"{out}/", "--volume-size", "1MiB", "small:1")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["SHA256SUMS", "bundle-0001-of-0001.tar"]
    code, told = create("-o", f"{tmp_path}/no/a.tar", "--volume-size", "1MiB", "small:1")
    assert (code, "is not a folder; make it first" in told) == (1, True)


@pytest.mark.parametrize(
    ("output", "more"),
    [
        ("a.tar", ()),
        ("a/", ()),
        ("a.tar", ("--volume-size", "1MiB")),
        ("a/", ("--volume-size", "1MiB")),
    ],
)
def test_a_finished_bundle_is_not_overwritten(
    create: Create, tmp_path: Path, output: str, more: tuple[str, ...]
) -> None:
    """In all forms another bundle is refused before the first byte, and the same one is not."""
    words = ("-o", f"{tmp_path}/{output}", *more)
    assert create(*words, "small:1")[0] == 0
    before = read_files(tmp_path)
    for dry in ((), ("--dry-run",)):
        code, told = create(*words, "former:1", *dry)
        assert (code, "another bundle" in told) == (1, True)
        assert "remove it, or name another" in told
    assert create(*words, "small:1")[0] == 0
    assert read_files(tmp_path) == before


def test_a_file_that_is_no_bundle_is_not_overwritten(create: Create, tmp_path: Path) -> None:
    """A slip of the name costs nobody a file."""
    path = tmp_path / "thesis.txt"
    path.write_text("years")
    code, told = create("-o", str(path), "small:1")
    assert (code, "exists, and is not a bundle; remove it" in told) == (1, True)
    assert path.read_text() == "years"


def test_volumes_do_not_mix_with_a_folder(create: Create, tmp_path: Path) -> None:
    """A reader would take the folder's bundle, and overlook the volumes."""
    assert create("-o", f"{tmp_path}/a/", "small:1")[0] == 0
    code, told = create("-o", f"{tmp_path}/a/", "--volume-size", "1MiB", "small:1")
    assert (code, "is the folder of another bundle" in told) == (1, True)


def test_what_was_interrupted_may_be_taken_over(create: Create, tmp_path: Path) -> None:
    """A part is of no finished bundle: another one may begin with it."""
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0
    (tmp_path / "a.tar").rename(tmp_path / "b.tar.part")
    assert create("-o", str(tmp_path / "b.tar"), "small:1")[0] == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["b.tar"]


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
