"""Laws of byte ranges (RFC 9110 section 14), for ten bytes of content."""

import pytest

from registry.errors import RangeUnsatisfiable
from registry.oci.byte_ranges import MAX_SPANS, Span, parse_content_range, parse_range


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-9", [(0, 10)]),
        ("bytes=0-99", [(0, 10)]),
        ("bytes=4-", [(4, 10)]),
        ("bytes=9-", [(9, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-99", [(0, 10)]),
        ("Bytes=1-2", [(1, 3)]),
        ("bytes=0-1, 4-5", [(0, 2), (4, 6)]),
        ("bytes=0-1,,\t4-5,", [(0, 2), (4, 6)]),
        ("bytes=4-5,0-1,0-9", [(4, 6), (0, 2), (0, 10)]),
        ("bytes=10-,2-3,-0", [(2, 4)]),
    ],
)
def test_range_is_read(header: str, spans: list[tuple[int, int]]) -> None:
    """The spans come in the order of the header, and end where the content ends."""
    assert tuple(Span(*span) for span in spans) == parse_range(header, 10)


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=1", "bytes=1-2-3"),
        *("bytes=0-1,3-2", "bytes=3-2,-4", "bytes=3-2,20-,9-", "bytes=3-2,x"),
        *("bytes=+1-2", "bytes=1.0-2", "bytes=٣-", "bytes 0-1", "bytes=0-1, bytes=4-5"),
        *("items=0-1", "bytes=0x1-2", "bytes=0-1;2-3", "bytes=" + "9" * 5000 + "-"),
        "bytes=" + ",".join(["0-0"] * (MAX_SPANS + 1)),
    ],
)
def test_malformed_range_means_the_whole(header: str | None) -> None:
    """A malformed range is ignored, as RFC 9110 allows: the client gets the whole content."""
    assert parse_range(header, 10) == ()


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20,99-", 10),
        ("bytes=-0", 10),
        ("bytes=10-10", 10),
        ("bytes=500-0", 1000),
        ("bytes=500-0", 10),
        ("bytes=9-8", 10),
        ("bytes=500-0,3-2", 1000),
        ("bytes=500-0,1000-", 1000),
    ],
)
def test_range_without_bytes_is_unsatisfiable(header: str, size: int) -> None:
    """If no range has bytes of the content, this is an error with the size of the content."""
    with pytest.raises(RangeUnsatisfiable) as error:
        parse_range(header, size)
    assert size == error.value.size


@pytest.mark.parametrize(
    "header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-9", "bytes=500-0"]
)
def test_every_range_of_nothing_is_the_whole(header: str) -> None:
    """Some clients ask for a range of every blob: an empty one is 200 (RFC 9110 section 14.2)."""
    assert parse_range(header, 0) == ()


def test_most_spans_are_accepted() -> None:
    """A header with the greatest allowed number of ranges is read."""
    assert len(parse_range("bytes=" + ",".join(["0-0"] * MAX_SPANS), 10)) == MAX_SPANS


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes 0-0/1", (Span(0, 1), 1)),
        ("bytes 5-9/10", (Span(5, 10), 10)),
        ("bytes 5-9/*", (Span(5, 10), None)),
        (" bytes 5-9/10 ", (Span(5, 10), 10)),
    ],
)
def test_content_range_is_read(header: str, expected: tuple[Span, int | None]) -> None:
    """A Content-Range has the span and the size of the whole."""
    assert expected == parse_content_range(header)


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes 0-9", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "bytes -5/10"),
        *("bytes 0-/10", "items 0-9/10", "bytes 0-9/10, 0-1/10", "bytes=0-9/10", "bytes ٣-٣/٩"),
        "bytes 0-" + "9" * 5000 + "/*",
    ],
)
def test_contradicting_content_range_is_none(header: str) -> None:
    """A Content-Range that contradicts itself is not accepted."""
    assert parse_content_range(header) is None
