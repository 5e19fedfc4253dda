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
            "100 B beside what is pinned or was pulled just now; raise storage.limit, or unpin",
            "reserve",
        ),
        (500, True, False, "storage.limit is only 100 B; raise storage.limit", "unpin"),
        (500, True, True, "storage.limit is only 100 B; raise storage.limit", "disk"),
        (
            10,
            False,
            True,
            "2.38 MiB are free on the disk, but storage.reserve keeps 100 TiB; lower storage",
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


def test_a_reserve_of_nothing_is_not_named() -> None:
    """Without a reserve, only the disk itself can be the reason."""
    sizes = {"limit": 100, "free": 5, "reserve": 0}
    said = explain_shortage(10, is_by_limit=False, is_by_disk=True, **sizes)
    assert said == "only 5 B are free on the disk; delete other files, or unpin images"
