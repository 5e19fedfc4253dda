"""The order of imports decides which bundle is older, and not the dates of images."""

from pathlib import Path

import pytest

from registry.bundle.format.lock import Lock
from registry.bundle.load.import_log import ImportLog, ImportRecord, is_older
from registry.store.file_locks import ExclusiveLocks


def make_lock(name: str, *requires: str) -> Lock:
    """Return a lock of its own for each name."""
    return Lock("subset", (), {}, (), (), (name, *requires))


MAY, JUNE, JULY = (make_lock(name) for name in ("may", "june", "july"))
DELTA = make_lock("delta", JUNE.bundle_id)  # made after June, and without its layers
NEXT = make_lock("next", DELTA.bundle_id)
UPSTREAM = ""


def log(*locks: Lock) -> list[ImportRecord]:
    """Return the records of imports one after the other, at the times 1, 2, 3."""
    return [
        ImportRecord(lock.bundle_id, float(time), lock.requires)
        for time, lock in enumerate(locks, 1)
    ]


@pytest.mark.parametrize(
    ("imported", "bundle", "former", "expected"),
    [
        ([MAY, JUNE], MAY, JUNE, True),
        ([MAY, JUNE], JUNE, MAY, False),
        ([JUNE, MAY], MAY, JUNE, False),  # as it was imported here, May came later
        ([MAY, JUNE], JULY, JUNE, False),  # the first import
        ([MAY, JUNE, JULY], MAY, JULY, True),
        ([MAY, JUNE, JULY], JUNE, JULY, True),
        ([JUNE, DELTA], JUNE, DELTA, True),
        ([DELTA], JUNE, DELTA, True),  # never imported, but the delta was made after it
        ([DELTA, NEXT], JUNE, NEXT, True),  # the same over two deltas
        ([DELTA, JUNE], DELTA, JUNE, False),  # the delta came first, and was incomplete
        ([], MAY, JUNE, False),
    ],
)
def test_the_order_of_imports_decides(
    imported: list[Lock], bundle: Lock, former: Lock, expected: bool
) -> None:
    """A bundle is older if it was imported before, or if the other one was made after it."""
    assert is_older(bundle, former.bundle_id, 99.0, log(*imported)) == expected


@pytest.mark.parametrize(
    ("imported", "checked", "expected"),
    [([MAY], 5.0, True), ([MAY], 0.5, False), ([], 5.0, False), ([JUNE], 5.0, False)],
)
def test_what_an_upstream_said_since_is_newer(
    imported: list[Lock], checked: float, expected: bool
) -> None:
    """A tag that an upstream confirmed after the last import of a bundle is newer than it."""
    assert is_older(MAY, UPSTREAM, checked, log(*imported)) == expected


async def test_a_repeated_import_is_the_latest(tmp_path: Path) -> None:
    """Each bundle is listed once, by its last import, with the ids of what it requires."""
    times = iter([1.0, 2.0, 3.0])
    kept = ImportLog(tmp_path / "imports.json", ExclusiveLocks(tmp_path), lambda: next(times))
    for lock in (MAY, DELTA, MAY):
        await kept.add(lock)
    assert await kept.read() == [
        ImportRecord(DELTA.bundle_id, 2.0, DELTA.requires),
        ImportRecord(MAY.bundle_id, 3.0, MAY.requires),
    ]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"bundle": "x"}]', b"[[[["])
async def test_a_damaged_list_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    """Imports go on without it, and write a new one."""
    path = tmp_path / "imports.json"
    path.write_bytes(content)
    kept = ImportLog(path, ExclusiveLocks(tmp_path), lambda: 1.0)
    assert await kept.read() == []
    await kept.add(MAY)
    assert [each.bundle for each in await kept.read()] == [MAY.bundle_id]
