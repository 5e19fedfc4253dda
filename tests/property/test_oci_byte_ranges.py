"""Laws of byte ranges, compared with a model: a list of byte numbers."""

from hypothesis import given
from hypothesis import strategies as st

from registry.errors import RangeUnsatisfiable
from registry.oci.byte_ranges import Span, parse_content_range, parse_range

# One range as numbers: (first, last), (first, None) for "from", (None, length) for "the last".
Asked = tuple[int | None, int | None]

small = st.integers(0, 30)
asked = (
    st.tuples(small, small).map(lambda pair: (min(pair), max(pair)))
    | st.tuples(small, st.none())
    | st.tuples(st.none(), small)
)
spaces = st.sampled_from(["", " ", "\t", " \t "])


def write_range(one: Asked) -> str:
    return "-".join("" if number is None else str(number) for number in one)


def pick(content: list[int], one: Asked) -> list[int]:
    """Return the byte numbers of one range; this is the model, written after RFC 9110."""
    first, last = one
    if first is None:
        assert last is not None
        return [byte for byte in content if byte >= len(content) - last]
    return [byte for byte in content if first <= byte and (last is None or byte <= last)]


@given(small, st.lists(asked, min_size=1, max_size=6), spaces)
def test_ranges_pick_the_bytes_of_the_model(size: int, wanted: list[Asked], space: str) -> None:
    """The spans have exactly the bytes that were asked for, in the order of the header."""
    content = list(range(size))
    expected = [picked for one in wanted if (picked := pick(content, one))]

    try:
        spans = parse_range("bytes=" + f"{space},{space}".join(map(write_range, wanted)), size)
    except RangeUnsatisfiable:
        spans = ()

    assert expected == [content[span.start : span.stop] for span in spans]
    assert [len(picked) for picked in expected] == [span.length for span in spans]


@given(st.text("0123456789-,=bytes \t", max_size=40) | st.text(max_size=40), small)
def test_spans_stay_inside(header: str, size: int) -> None:
    """For any header, no span is empty or outside of the content."""
    for text in (header, f"bytes={header}"):
        try:
            spans = parse_range(text, size)
        except RangeUnsatisfiable:
            continue
        assert all(0 <= span.start < span.stop <= size for span in spans)


@given(st.integers(0, 10**18), st.integers(1, 10**18), st.integers(0, 10**17) | st.none())
def test_content_range_reads_the_same(start: int, length: int, behind: int | None) -> None:
    """A Content-Range that was written is read with the same numbers."""
    span = Span(start, start + length)
    size = None if behind is None else span.stop + behind

    header = f"bytes {span.start}-{span.stop - 1}/{'*' if size is None else size}"

    assert (span, size) == parse_content_range(header)


@given(st.text("0123456789-/* bytes", max_size=40))
def test_content_range_is_consistent(text: str) -> None:
    """The span of an accepted Content-Range is inside of its size."""
    for header in (text, f"bytes {text}"):
        found = parse_content_range(header)
        if found is not None:
            span, size = found
            assert 0 <= span.start < span.stop
            assert size is None or span.stop <= size
