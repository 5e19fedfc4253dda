"""Pages of a sorted list (distribution-spec, "Listing Tags"; also `_catalog`)."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from registry.errors import PaginationInvalid


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of one page, and the `last` of the next request; None on the last page."""

    entries: tuple[str, ...]
    next_last: str | None


def parse_count(text: str | None) -> int | None:
    """Read the parameter `n`; None if the request has no `n`.

    Raises:
        PaginationInvalid: `n` is not a whole number of 0 or more.
    """
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise PaginationInvalid(text)
    return int(text)


def cut_page(entries: Sequence[str], count: int | None, last: str | None) -> Page:
    """Return a page of `entries`, which are sorted as ASCII text.

    The page begins after `last`, even if `entries` does not contain `last`. It has at most `count`
    entries. If `count` is 0, the page is empty and the last page, as the specification says.
    """
    start = bisect_right(entries, last) if last else 0
    if count is None:
        return Page(tuple(entries[start:]), None)
    cut = tuple(entries[start : start + count])
    more = bool(cut) and start + count < len(entries)
    return Page(cut, cut[-1] if more else None)
