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
            "leaves too little of 100 bytes; raise storage.limit, or unpin",
            "reserve",
        ),
        (500, True, False, "storage.limit is smaller; raise storage.limit", "unpin"),
        (500, True, True, "storage.limit is smaller; raise storage.limit", "disk"),
        (
            10,
            False,
            True,
            "keeps 7 bytes of the disk free, and it has 2 MiB; free",
            "storage.limit",
        ),
        (10, True, True, "storage.limit and the disk leave too little; free disk sp", "raise"),
        (10, False, False, "storage.limit and the disk leave too little; free disk", "raise"),
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
        reserve=7,
    )
    assert words in said
    assert others not in said
