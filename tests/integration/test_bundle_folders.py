"""A folder that holds a bundle beside files of other people, as disks that travel do."""

import asyncio
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.bundle.read.open import open_paths
from registry.cli.main import build_cli
from registry.errors import BundleInvalid
from tests.harness.bundles import write_bundle, write_volumes
from tests.harness.filled_folder import open_filled

APP, TOOL = "docker.io/library/app:1", "ghcr.io/team/tool:2"
VOLUMES = 3


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_cli(), ["bundle", *arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the volumes of one bundle, and whole bundles of two images."""
    folder = tmp_path_factory.mktemp("made")

    async def make() -> None:
        async with open_filled(folder / "data") as filled:
            await filled.put_image(APP, [os.urandom(200_000)])
            await filled.put_image(TOOL, [b"tool"])
            (folder / "volumes").mkdir()
            paths = await write_volumes(filled, [APP], folder / "volumes", 96 * 1024)
            for number, path in enumerate(paths, 1):
                path.rename(path.with_name(f"b-{number:04}-of-{len(paths):04}.tar"))
            (folder / "app.tar").write_bytes(await write_bundle(filled, [APP]))
            (folder / "tool.tar").write_bytes(await write_bundle(filled, [TOOL]))

    asyncio.run(make())
    assert len([*(folder / "volumes").iterdir()]) == VOLUMES
    return folder


@pytest.fixture
def disk(made: Path, tmp_path: Path) -> Path:
    """A disk with a copy of the volumes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    for path in (made / "volumes").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def write_other_tar(path: Path, *names: str) -> None:
    """Write an archive as other programs do."""
    with tarfile.open(path, "w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))


Put = Callable[[Path, Path], object]
OTHERS: dict[str, Put] = {
    "photos.tar": lambda path, _: write_other_tar(path, "a.jpg", "b.jpg"),
    "PHOTOS.TAR": lambda path, _: write_other_tar(path, "a.jpg"),
    "saved.tar": lambda path, _: write_other_tar(path, "blobs/", "index.json", "manifest.json"),
    "layout.tar": lambda path, _: write_other_tar(path, "oci-layout", "index.json"),
    "noise.tar": lambda path, _: path.write_bytes(os.urandom(5000)),
    "text.tar": lambda path, _: path.write_bytes(b"no archive at all"),
    "empty.tar": lambda path, _: path.write_bytes(b""),
    "zeros.Tar": lambda path, _: path.write_bytes(bytes(10_240)),
    "backup-0001-of-0002.tar": lambda path, _: write_other_tar(path, "home/"),
    "whole.tar": lambda path, made: path.write_bytes((made / "tool.tar").read_bytes()),
    "folder.tar": lambda path, _: path.mkdir(),
    "pipe.tar": lambda path, _: os.mkfifo(path),
    "nowhere.tar": lambda path, _: path.symlink_to("missing"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_archives_are_passed_over(made: Path, disk: Path, name: str) -> None:
    """The volumes are found, and the file of somebody else is named and not read."""
    OTHERS[name](disk / name, made)
    with open_paths([disk]) as opened:
        assert (opened.source.count, opened.source.missing) == (VOLUMES, ())
        assert opened.source.ignored == (disk / name,)
        assert [image.name for image in opened.lock.images] == [APP]
        assert {each.digest for each in opened.blobs} == set(opened.lock.sizes)
        assert opened.source.flaws.messages == []


@pytest.mark.parametrize("command", ["verify", "info", "check", "import", "join"])
def test_every_command_names_what_it_passes_over(
    made: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The name of the other file is on stderr, and the command succeeds."""
    monkeypatch.setenv("ENTREPOT_STORAGE__PATH", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    OTHERS["photos.tar"](disk / "photos.tar", made)
    further = {"check": ["app:1"], "join": ["-o", "joined.tar"]}.get(command, [])
    done = run(command, str(disk), *further)
    assert done.exit_code == 0, done.output
    assert f"{disk}/photos.tar: it is not of this bundle, and is ignored" in done.stderr


def test_volumes_may_have_names_in_capitals(disk: Path) -> None:
    """Some file systems and programs write names in capitals."""
    for path in [*disk.iterdir()]:
        path.rename(path.with_name(path.name.upper()))
    with open_paths([disk]) as opened:
        assert (opened.source.count, opened.source.missing) == (VOLUMES, ())


@pytest.mark.parametrize("start", [b"\xff", bytes(512), bytes(4096)])
def test_damaged_volume_is_not_passed_over(made: Path, disk: Path, start: bytes) -> None:
    """A volume whose beginning is damaged is damage, and no file of somebody else."""
    OTHERS["noise.tar"](disk / "noise.tar", made)
    path = disk / f"b-0002-of-{VOLUMES:04}.tar"
    path.write_bytes(start + path.read_bytes()[len(start) :])
    done = run("verify", str(disk))
    assert done.exit_code == 1
    assert f"{path}: its volume.json cannot be found; copy this volume again" in done.stdout
    assert f"volume 2 of {VOLUMES} is missing" in done.stdout
    assert f"{disk}/noise.tar: it is not of this bundle" in done.stderr


def test_one_whole_bundle_is_found_among_others(made: Path, tmp_path: Path) -> None:
    """Without volumes, the only bundle in the folder is taken."""
    OTHERS["photos.tar"](tmp_path / "photos.tar", made)
    (tmp_path / "Tool.TAR").write_bytes((made / "tool.tar").read_bytes())
    with open_paths([tmp_path]) as opened:
        assert [image.name for image in opened.lock.images] == [TOOL]
        assert opened.source.ignored == (tmp_path / "photos.tar",)


def test_folder_without_one_bundle_is_explained(made: Path, tmp_path: Path) -> None:
    """Several bundles, or only other archives, are named in the message."""
    with pytest.raises(BundleInvalid, match=r"neither a bundle\.json nor volumes"):
        open_paths([tmp_path]).__enter__()
    for name in ("photos.tar", "layout.tar"):
        OTHERS[name](tmp_path / name, made)
    with pytest.raises(BundleInvalid, match=r"; not of a bundle: layout\.tar, photos\.tar"):
        open_paths([tmp_path]).__enter__()
    for name in ("app.tar", "tool.tar"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    with pytest.raises(BundleInvalid, match=r"several bundles \(app\.tar, tool\.tar\); name one"):
        open_paths([tmp_path]).__enter__()
