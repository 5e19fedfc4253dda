"""Which of the two limits is named when there is too little space."""

import pytest

from registry.content.shortage import explain_shortage


@pytest.mark.parametrize(
    ("size", "is_by_limit", "is_by_disk", "words", "others"),
    [
        (
            10,
            True,
            False,
            "100B beside what is pinned or was pulled just now; raise storage.limit, or unpin",
            "reserve",
        ),
        (500, True, False, "storage.limit is smaller; raise storage.limit", "unpin"),
        (500, True, True, "storage.limit is smaller; raise storage.limit", "disk"),
        (
            10,
            False,
            True,
            "keeps 100TiB of the disk free, and it has 2MiB; free",
            "storage.limit",
        ),
        (10, True, True, "storage.limit and the disk leave too little beside what is", "raise"),
        (10, False, False, "there is enough now; try again", "storage"),
    ],
)
def test_the_limit_that_is_the_reason_is_named(
    size: int, *, is_by_limit: bool, is_by_disk: bool, words: str, others: str
) -> None:
    """The advice is about the setting that leaves too little space, and about no other."""
    said = explain_shortage(
        size,
        is_by_limit=is_by_limit,
        is_by_disk=is_by_disk,
        limit=100,
        free=2_500_000,
        reserve=100 << 40,
    )
    assert words in said
    assert others not in said


def test_without_a_reserve_the_disk_is_the_reason() -> None:
    """Nobody is told to lower a reserve of 0 bytes."""
    said = explain_shortage(
        10, is_by_limit=False, is_by_disk=True, limit=100, free=2_500_000, reserve=0
    )
    assert said.startswith("the disk has only 2MiB free; free disk space, or unpin images")
    assert "reserve" not in said
