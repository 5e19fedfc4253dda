"""Laws of paging."""

import pytest

from registry.errors import PaginationInvalid
from registry.oci.pagination import Page, cut_page, parse_count

TAGS = ("a", "b", "d")


@pytest.mark.parametrize(
    ("count", "last", "entries", "next_last"),
    [
        (None, None, TAGS, None),
        (None, "a", ("b", "d"), None),
        (2, None, ("a", "b"), "b"),
        (2, "b", ("d",), None),
        (3, None, TAGS, None),
        (1, "c", ("d",), None),
        (1, "", ("a",), "a"),
        (2, "d", (), None),
        (2, "z", (), None),
        (0, None, (), None),
        (10**17, None, TAGS, None),
    ],
)
def test_page(count: int | None, last: str | None, entries: tuple[str], next_last: str) -> None:
    """A page begins after `last`, whether that exists or not, and says whether more follows."""
    assert Page(entries, next_last) == cut_page(TAGS, count, last)


@pytest.mark.parametrize(("text", "count"), [(None, None), ("0", 0), ("100", 100), ("007", 7)])
def test_count_is_read(text: str | None, count: int | None) -> None:
    """A count is a whole number or absent."""
    assert count == parse_count(text)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "x", " 1", "٣", "²", "1" * 19])
def test_other_counts_are_refused(text: str) -> None:
    """A count that is not a whole number is an error, and not replaced by a default."""
    with pytest.raises(PaginationInvalid):
        parse_count(text)
