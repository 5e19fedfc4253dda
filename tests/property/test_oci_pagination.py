"""Laws of pages: a client that follows them gets the whole list."""

import string
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from registry.oci.pagination import cut_page, parse_count

entries = st.lists(
    st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=5), unique=True
).map(sorted)


@given(entries, st.integers(1, 10))
def test_pages_walk_the_list_once(listed: list[str], count: int) -> None:
    """A client that follows `next_last` gets every entry exactly once, in order."""
    walked: list[str] = []
    last: str | None = None
    for _ in range(len(listed) + 1):
        page = cut_page(listed, count, last)
        walked += page.entries
        assert len(page.entries) == count or page.next_last is None
        last = page.next_last
        if last is None:
            break

    assert listed == walked
    assert last is None


@given(entries, st.integers(1, 5), st.data())
def test_walk_survives_deletions(listed: list[str], count: int, data: st.DataObject) -> None:
    """When an entry is deleted between two pages, no other entry is missed."""
    page = cut_page(listed, count, None)
    gone = set(data.draw(st.lists(st.sampled_from(page.entries)))) if page.entries else set()

    left = [entry for entry in listed if entry not in gone]
    rest = cut_page(left, None, page.next_last).entries if page.next_last else ()

    assert listed == [*page.entries, *rest]


@given(entries, st.text(max_size=3), st.none() | st.integers(0, 10))
def test_page_begins_after_last(listed: list[str], last: str, count: int | None) -> None:
    """A page has only entries after `last`, sorted, and at most `n`."""
    page = cut_page(listed, count, last)

    assert all(entry > last for entry in page.entries)
    assert all(left < right for left, right in pairwise(page.entries))
    assert count is None or len(page.entries) <= count


@given(st.integers(0, 10**17))
def test_count_reads_the_same(count: int) -> None:
    """A count that was written is read as the same number."""
    assert count == parse_count(str(count))
