"""Laws of pointers: each is found where it was written, and gone once it is removed."""

from collections.abc import Iterable
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
    """Every pointer is found once, under the repository and the name that it was written for."""
    assert await scan(files) == []
    await write_all(files)
    assert await scan(files) == as_texts(NAMES)
    assert {pointer async for _, _, pointer in files.scan()} == {POINTER}


@pytest.mark.parametrize("name", NAMES, ids=str)
async def test_the_removed_is_gone(files: TagFiles, name: tuple[Repository, Reference]) -> None:
    """A removed pointer is neither read nor found, the others are; removing again is harmless."""
    await write_all(files)
    for _ in range(2):
        await files.remove(*name)
        assert await files.read(*name) is None
    assert await scan(files) == as_texts(each for each in NAMES if each != name)


async def test_removing_makes_nothing(files: TagFiles, tmp_path: Path) -> None:
    """What was never written is removed without a trace."""
    before = list_all(tmp_path)
    await files.remove(*NAMES[0])
    assert list_all(tmp_path) == before == []


async def test_a_refusing_disk_is_a_store_error(files: TagFiles, tmp_path: Path) -> None:
    """A pointer that cannot be removed is told, since it would bring the name back."""
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
    ],
)
async def test_a_spoilt_pointer_is_passed_over(
    files: TagFiles, tmp_path: Path, content: bytes
) -> None:
    """A file that is no pointer is not found, and hides no other."""
    await write_all(files)
    (tmp_path / HERE.registry / HERE.name / "@" / "tag-latest").write_bytes(content)
    assert await scan(files) == as_texts(NAMES[1:])


@pytest.mark.parametrize("name", [".new-1-2-tag-x", "other-x", EMPTY, "digest-md5-12", "digest-"])
async def test_a_strange_name_is_passed_over(files: TagFiles, tmp_path: Path, name: str) -> None:
    """What is named as no pointer is, half-written ones among them, is not found."""
    await write_all(files)
    folder = tmp_path / HERE.registry / HERE.name / "@"
    (folder / name).write_bytes((folder / "tag-latest").read_bytes())
    assert await scan(files) == as_texts(NAMES)
