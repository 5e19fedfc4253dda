"""Laws of the history of a tag: what was seen first and last is known, bounded, and kept."""

import json
from pathlib import Path

import pytest

from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.store.tag_history import (
    MOST,
    PRECISION,
    SeenDigest,
    TagHistory,
    format_history,
    parse_history,
)
from registry.store.tags import TagFiles, TagTarget
from registry.tasks import in_thread

HERE, TAG = Repository("docker.io", "library/a"), Tag("1")
ONE, TWO, THREE = (str(Digest.of(name)) for name in (b"1", b"2", b"3"))
FULL = (
    TagHistory()
    .see(ONE, 10.0)
    .see(TWO, 20.0, served=ONE)
    .release(TWO, 30.0)
    .roll_back(ONE, 40.0, has_pin=True)
)


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def list_seen(history: TagHistory) -> list[tuple[str, float, float]]:
    return [(each.digest, each.first, each.last) for each in history.seen]


def test_first_and_last_are_kept() -> None:
    """The last entry is what was heard last; when it was heard first does not change."""
    history = TagHistory().see(ONE, 10.0).see(TWO, 20.0, served=ONE).see(ONE, 30.0, served=ONE)

    assert list_seen(history) == [(TWO, 20.0, 20.0), (ONE, 10.0, 30.0)]
    assert history.latest == SeenDigest(ONE, 10.0, 30.0, was_served=True)


def test_what_was_withdrawn_begins_anew() -> None:
    """A digest that was replaced before it was served is as new as any other when it comes back."""
    moved = TagHistory().see(ONE, 10.0).see(TWO, 20.0, served=ONE)
    back = moved.see(ONE, 30.0, served=ONE)

    assert back.see(TWO, 40.0, served=ONE).latest == SeenDigest(TWO, 40.0, 40.0)
    released = back.release(TWO, 35.0).see(TWO, 40.0, served=ONE)
    assert released.latest == SeenDigest(TWO, 20.0, 40.0, 35.0)
    assert moved.see(TWO, 40.0, served=ONE).latest == SeenDigest(TWO, 20.0, 40.0)


def test_an_earlier_moment_changes_no_order() -> None:
    """What the catalog knows more exactly moves the last time forward, and never back."""
    history = TagHistory().see(ONE, 10.0).see(TWO, 20.0)

    assert list_seen(history.confirm(ONE, 19.0)) == [(ONE, 10.0, 19.0), (TWO, 20.0, 20.0)]
    assert history == history.confirm(TWO, 5.0)


def test_a_clock_that_was_ahead_delays_nothing() -> None:
    """A time in the future becomes the present one, when the digest is heard again."""
    assert list_seen(TagHistory().see(ONE, 10.0**9).see(ONE, 10.0)) == [(ONE, 10.0, 10.0)]


def test_a_history_is_bounded() -> None:
    """The digests that were seen last stay."""
    history = TagHistory()
    names = [str(Digest.of(bytes([number]))) for number in range(MOST + 5)]
    for number, name in enumerate(names):
        history = history.see(name, float(number))

    assert names[5:] == [each.digest for each in history.seen]


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        (FULL, False),
        (FULL.see(TWO, 20.0 + PRECISION / 2), False),
        (FULL.see(TWO, 20.0 + PRECISION), True),
        (FULL.see(ONE, 50.0), True),
        (FULL.see(THREE, 50.0), True),
        (FULL.see(TWO, 20.0, served=TWO), True),
        (FULL.release(ONE, 50.0), True),
        (FULL.end_rollback(), True),
    ],
)
def test_only_what_matters_is_written(changed: TagHistory, *, differs: bool) -> None:
    """A file is written for another digest, another order or a decision, and else once a day."""
    assert changed.differs(FULL) is differs


def test_a_history_is_read_as_it_was_written() -> None:
    """Nothing is lost; fields of a later version are left out."""
    written = json.loads(json.dumps(format_history(FULL) | {"new": 1}))
    written["seen"][0]["new"] = 1

    assert parse_history(written) == FULL


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        None,
        {"seen": 1},
        {"seen": [1]},
        {"seen": [{"digest": "x"}]},
        {"seen": [{"digest": ONE, "first": -1, "last": 1}]},
        {"seen": [], "rolled_back_to": "x"},
        {"seen": [], "rolled_back_to": 1},
    ],
)
def test_what_is_no_history_is_refused(value: object) -> None:
    """Nothing else is taken for a history."""
    with pytest.raises(ValueError, match=r".+"):
        parse_history(value)


async def test_a_file_is_beside_the_tag_file(tmp_path: Path) -> None:
    """It is found again, is not taken for a tag, and is removed with the tag."""
    files = TagFiles(tmp_path)
    await files.write(HERE, TAG, TagTarget(ONE, "application/json", 1.0))
    await files.write_history(HERE, TAG, FULL)

    assert await files.read_history(HERE, TAG) == FULL
    assert [each async for each in files.scan_histories()] == [(HERE, TAG)]
    assert [(where, what) async for where, what, _ in files.scan()] == [(HERE, TAG)]

    await files.remove(HERE, TAG)

    assert await files.read_history(HERE, TAG) == TagHistory()
    assert list_files(tmp_path) == []


async def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    """The history is then empty, and the file is kept under another name."""
    files = TagFiles(tmp_path)
    await files.write_history(HERE, TAG, FULL)
    (path,) = list_files(tmp_path)
    await in_thread(path.write_bytes, b"{")

    assert await files.read_history(HERE, TAG) == TagHistory()
    assert [each.name for each in list_files(tmp_path)] == ["broken-history-1"]
