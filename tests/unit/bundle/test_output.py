"""Where `bundle create` writes: enough space, and other bundles in the same folder."""

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
from registry.cli.terminal import format_bytes
from tests.harness.filled_folder import open_filled

LAYER = bytes(3_000_000)
Create = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a data folder with two images."""
    folder = tmp_path_factory.mktemp("filled")

    async def fill() -> None:
        async with open_filled(folder / "data") as filled:
            await filled.put_image("docker.io/library/large:1", [LAYER])
            await filled.put_image("docker.io/library/small:1", [b"small"])
            await filled.put_image("docker.io/library/former:1", [b"former"])

    asyncio.run(fill())
    path = folder / "entrepot.toml"
    path.write_text(f"storage.path = {json.dumps(str(folder / 'data'))}\n")
    return path


@pytest.fixture
def create(config: Path) -> Create:
    """Run `bundle create`, and return the exit code and stderr."""

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            build_cli(), ["bundle", "create", *words, "--config", str(config)]
        )
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stderr

    return run


def leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Make all disks report this many free bytes."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def test_a_full_disk_is_noticed_before_writing(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the needed and the free bytes, and no file is written."""
    leave(monkeypatch, 1_000_000)
    code, output = create("-o", str(tmp_path / "a.tar"), "large:1")
    assert code == 1
    assert "has 977 KiB free, and the bundle needs 2.87 MiB more" in output
    assert [*tmp_path.iterdir()] == []


def test_an_existing_bundle_needs_no_space(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that exists already is read, and not written again."""
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0
    leave(monkeypatch, 1_000_000)
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0


def test_a_partial_file_counts(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partial file needs space only for the rest."""
    whole = tmp_path / "a.tar"
    assert create("-o", str(whole), "large:1")[0] == 0
    content = whole.read_bytes()
    whole.unlink()
    (tmp_path / "a.tar.part").write_bytes(content[:2_500_000])
    leave(monkeypatch, 1_000_000)
    assert create("-o", str(whole), "large:1")[0] == 0
    assert whole.read_bytes() == content


def test_checksums_of_other_bundles_are_kept(create: Create, tmp_path: Path) -> None:
    """One SHA256SUMS has the files of both bundles in a folder, and no file that was deleted."""
    for name in ("large", "small"):
        words = ("-o", str(tmp_path / f"{name}.tar"), "--volume-size", "1MiB", f"{name}:1")
        assert create(*words)[0] == 0
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    output = subprocess.check_output(command, cwd=tmp_path, text=True)
    assert [line.partition("-")[0] for line in output.splitlines()] == ["large"] * 3 + ["small"]
    (tmp_path / "small-0001-of-0001.tar").unlink()
    assert create("-o", str(tmp_path / "large.tar"), "--volume-size", "1MiB", "large:1")[0] == 0
    assert "small" not in (tmp_path / "SHA256SUMS").read_text()


def test_create_and_info_say_the_same_readers(create: Create, config: Path, tmp_path: Path) -> None:
    """Both commands say that volumes have to be joined for other programs."""
    words = ("-o", f"{tmp_path}/out/", "--volume-size", "1MiB", "small:1", "--json")
    done = CliRunner().invoke(build_cli(), ["bundle", "create", *words, "--config", str(config)])
    output = CliRunner().invoke(build_cli(), ["bundle", "info", f"{tmp_path}/out/", "--json"])
    assert json.loads(done.stdout)["readers"] == json.loads(output.stdout)["readers"]


def test_a_folder_for_volumes_is_made(create: Create, tmp_path: Path) -> None:
    """`-o out/` makes the folder, also for volumes; a missing folder of a file is an error."""
    out = tmp_path / "new" / "out"
    assert create("-o", f"{out}/", "--volume-size", "1MiB", "small:1")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["SHA256SUMS", "bundle-0001-of-0001.tar"]
    code, stderr = create("-o", f"{tmp_path}/no/a.tar", "--volume-size", "1MiB", "small:1")
    assert (code, "is not a folder; make it first" in stderr) == (1, True)


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
    """In all forms another bundle is not overwritten, and the same bundle is accepted."""
    words = ("-o", f"{tmp_path}/{output}", *more)
    assert create(*words, "small:1")[0] == 0
    before = read_files(tmp_path)
    for dry in ((), ("--dry-run",)):
        code, output = create(*words, "former:1", *dry)
        assert (code, "another bundle" in output) == (1, True)
        assert "remove it, or write to another place" in output
    assert create(*words, "small:1")[0] == 0
    assert read_files(tmp_path) == before


def test_another_file_is_not_overwritten(create: Create, tmp_path: Path) -> None:
    """A file that is not a bundle is not overwritten by a wrong name."""
    path = tmp_path / "thesis.txt"
    path.write_text("years")
    code, stderr = create("-o", str(path), "small:1")
    assert (code, "exists, and is not a bundle; remove it" in stderr) == (1, True)
    assert path.read_text() == "years"


def test_volumes_do_not_mix_with_a_folder(create: Create, tmp_path: Path) -> None:
    """Volumes are not written into the folder of a bundle, since a reader would ignore them."""
    assert create("-o", f"{tmp_path}/a/", "small:1")[0] == 0
    code, stderr = create("-o", f"{tmp_path}/a/", "--volume-size", "1MiB", "small:1")
    assert (code, "is the folder of another bundle" in stderr) == (1, True)


def test_a_partial_file_of_another_bundle_is_overwritten(create: Create, tmp_path: Path) -> None:
    """A partial file of another bundle may be overwritten, since that bundle was not finished."""
    assert create("-o", str(tmp_path / "a.tar"), "large:1")[0] == 0
    (tmp_path / "a.tar").rename(tmp_path / "b.tar.part")
    assert create("-o", str(tmp_path / "b.tar"), "small:1")[0] == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["b.tar"]


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("dry", "verb"), [((), "was"), (("--dry-run",), "would be")])
def test_a_bundle_without_images_is_not_written(
    create: Create, tmp_path: Path, dry: tuple[str, ...], verb: str
) -> None:
    """If no image can be written, the last line says that there is no bundle."""
    code, output = create("-o", str(tmp_path / "a.tar"), "none:1", *dry)
    assert (code, [*tmp_path.iterdir()]) == (1, [])
    assert output.endswith(f"entrepot: no bundle {verb} written\n")


def test_the_size_of_the_file_is_not_that_of_the_blobs(config: Path, tmp_path: Path) -> None:
    """The message says whose size it is: `bundle info` shows that of the blobs."""
    named = ("--config", str(config))
    words = ("-o", str(tmp_path / "a.tar"), "small:1", *named)
    whole = CliRunner().invoke(build_cli(), ["bundle", "create", *words]).stdout
    words = ("-o", f"{tmp_path}/out/", "--volume-size", "1MiB", "large:1", *named)
    cut = CliRunner().invoke(build_cli(), ["bundle", "create", *words]).stdout
    size = format_bytes((tmp_path / "a.tar").stat().st_size)
    volumes = [each.stat().st_size for each in (tmp_path / "out").glob("*.tar")]
    assert f"blobs; file size {size}\n" in whole
    assert f"; {len(volumes)} volumes, {format_bytes(sum(volumes))} together\n" in cut


@pytest.mark.parametrize("further", [[], ["--dry-run"]])
def test_a_delta_names_the_bundles_to_import_first(
    config: Path, tmp_path: Path, further: list[str]
) -> None:
    """Without them the images are incomplete; a bundle that omits nothing names none."""

    def run(*words: str) -> str:
        command = ["bundle", "create", *words, "--config", str(config)]
        done = CliRunner().invoke(build_cli(), command)
        assert done.exit_code == 0, done.output
        return done.stdout

    base = str(tmp_path / "may.tar")
    former = json.loads(run("large:1", "-o", base, "--json"))["bundle"]
    said = run("large:1", "-o", str(tmp_path / "a.tar"), "--since", base, *further)
    assert f"\nimport may.tar ({former}) first on the other side\nreadable by: " in said
    said = run("small:1", "-o", str(tmp_path / "b.tar"), "--since", base, *further)
    assert "import may.tar" not in said
