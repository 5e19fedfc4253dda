"""Laws of tag files: they are found where they were written, until they are removed."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest

from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag
from registry.store.tags import TagFiles, TagTarget

EMPTY = "tag-"
DIGEST, LONG = Digest.of(b"manifest"), Digest.of(b"manifest", "sha512")
POINTER = TagTarget(str(DIGEST), "application/json", 1.5)
HERE = Repository("registry.lan:5000", "a/b")
NAMES: list[tuple[Repository, Reference]] = [
    (HERE, Tag("latest")),
    (HERE, Tag("digest-sha256-x")),
    (HERE, DIGEST),
    (HERE, LONG),
    (Repository("registry.lan:5000", "a"), Tag("b")),
    (Repository("docker.io", "library/a"), Tag("x" * 128)),
]


def write(**changes: object) -> bytes:
    """Return the content of a tag file with some other fields."""
    return json.dumps(asdict(POINTER) | changes).encode()


@pytest.fixture
def files(tmp_path: Path) -> TagFiles:
    return TagFiles(tmp_path)


async def write_all(files: TagFiles) -> None:
    for name in NAMES:
        await files.write(*name, POINTER)


async def scan(files: TagFiles) -> list[tuple[str, str]]:
    return as_texts([(where, what) async for where, what, _ in files.scan()])


def list_all(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


def as_texts(names: Iterable[tuple[Repository, Reference]]) -> list[tuple[str, str]]:
    return sorted((str(where), str(what)) for where, what in names)


async def test_a_scan_finds_what_was_written(files: TagFiles) -> None:
    """Every tag file is found once, with its repository and its name."""
    assert await scan(files) == []
    await write_all(files)
    assert await scan(files) == as_texts(NAMES)
    assert {pointer async for _, _, pointer in files.scan()} == {POINTER}


@pytest.mark.parametrize("name", NAMES, ids=str)
async def test_the_removed_is_gone(files: TagFiles, name: tuple[Repository, Reference]) -> None:
    """A removed tag file is neither read nor found; a second removal is harmless."""
    await write_all(files)
    for _ in range(2):
        await files.remove(*name)
        assert await files.read(*name) is None
    assert await scan(files) == as_texts(each for each in NAMES if each != name)


async def test_removing_makes_nothing(files: TagFiles, tmp_path: Path) -> None:
    """The removal of a tag that was never written makes no folder."""
    before = list_all(tmp_path)
    await files.remove(*NAMES[0])
    assert list_all(tmp_path) == before == []


async def test_a_refusing_disk_is_a_store_error(files: TagFiles, tmp_path: Path) -> None:
    """A tag file that cannot be removed is an error: its name would come back."""
    place = tmp_path / HERE.registry / HERE.name / "@" / "tag-latest"
    (place / "child").mkdir(parents=True)
    with pytest.raises(StoreError, match="tag-latest"):
        await files.remove(HERE, Tag("latest"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"digest": "sha256:12", "media_type": "x", "seen": 1}',
        b'{"digest": 5, "media_type": "x", "seen": 1}',
        b'{"digest": "x", "media_type": "x", "seen": 1, "more": 2}',
        b"[" * 100_000,
        write(media_type=5),
        write(media_type="\ud800"),
        write(seen="1"),
        write(seen=float("nan")),
        write(seen=float("inf")),
        write(seen=-1),
        write(seen=10**400),
        write(seen=[]),
        write(bundle=None),
    ],
)
async def test_a_spoilt_pointer_is_passed_over(
    files: TagFiles, tmp_path: Path, content: bytes
) -> None:
    """A damaged tag file is renamed and not found, and other tag files are."""
    await write_all(files)
    damaged = tmp_path / HERE.registry / HERE.name / "@" / "tag-latest"
    damaged.write_bytes(content)
    assert await files.read(*NAMES[0]) is None
    for _ in range(2):
        assert await scan(files) == as_texts(NAMES[1:])
        assert not damaged.exists()
        assert damaged.with_name("broken-tag-latest").read_bytes() == content


@pytest.mark.parametrize("name", [".new-1-2-tag-x", "other-x", EMPTY, "digest-md5-12", "digest-"])
async def test_a_strange_name_is_passed_over(files: TagFiles, tmp_path: Path, name: str) -> None:
    """Files with other names, such as temporary files, are not found."""
    await write_all(files)
    folder = tmp_path / HERE.registry / HERE.name / "@"
    (folder / name).write_bytes((folder / "tag-latest").read_bytes())
    assert await scan(files) == as_texts(NAMES)
