"""Laws of who has sent which bytes of a blob."""

from hypothesis import given
from hypothesis import strategies as st

from registry.oci.byte_ranges import Span
from registry.upstream import sender_trace
from registry.upstream.sender_trace import UNKNOWN, SenderTrace

NOTES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=60)


def build(notes: list[tuple[str, int]]) -> SenderTrace:
    trace = SenderTrace()
    for origin, count in notes:
        trace.note(origin, count)
    return trace


def test_neighbours_are_joined() -> None:
    """Bytes of one endpoint that follow each other are one span."""
    trace = build([("a", 2), ("a", 3), ("b", 1), ("a", 4), ("b", 0), ("a", 1)])
    assert trace.entries == [(5, ("a",)), (6, ("b",)), (11, ("a",))]
    assert trace.list_spans("a") == [Span(0, 5), Span(6, 11)]
    assert trace.count() == {"a": 10, "b": 1}


@given(NOTES, st.integers(1, 5))
def test_of_too_many_spans_nobody_is_forgotten(notes: list[tuple[str, int]], most: int) -> None:
    """However few spans are kept, each byte still has its sender among those named for it."""
    former, sender_trace.MOST = sender_trace.MOST, most
    try:
        trace = build(notes)
    finally:
        sender_trace.MOST = former
    senders = [origin for origin, count in notes for _ in range(count)]
    named = [origins for span, origins in trace.spans for _ in range(span.length)]
    assert len(trace.entries) <= most
    assert len(named) == len(senders) == trace.stop
    assert all(sender in origins for sender, origins in zip(senders, named, strict=True))


@given(NOTES, st.integers(0, 300))
def test_a_download_goes_on_anywhere(notes: list[tuple[str, int]], offset: int) -> None:
    """What was not written is forgotten, and who sent what nobody noted is not known."""
    former = build(notes)
    trace = SenderTrace(former.entries)
    assert trace.entries == former.entries
    trace.resume(offset)

    assert trace.stop == offset
    assert [trace.entries] == [sorted(trace.entries)]
    known = min(offset, former.stop)
    assert trace.count()[UNKNOWN] == offset - known
    assert sum(trace.count().values()) == offset
