"""Byte ranges of content (RFC 9110 section 14)."""

import re
from dataclasses import dataclass

from registry.errors import RangeUnsatisfiable
from registry.oci.manifest import MAX_SIZE

MAX_SPANS = 64  # ranges of one request; for more ranges, the whole content is sent
MAX_DIGITS = 19  # of `MAX_SIZE`
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Bytes `start` (inclusive) to `stop` (exclusive)."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.stop - self.start


def parse_range(header: str | None, size: int) -> tuple[Span, ...]:
    """Return the spans of a `Range` header for content of `size` bytes; `()` means the whole.

    The header is ignored, as RFC 9110 section 14.2 allows, if the content has no bytes, or if the
    header is malformed, has another unit, or has more than 64 ranges. Ranges outside of the content
    are left out (section 14.1.2), and so are ranges that end before they begin. But if such a range
    stands beside ranges that have bytes, the client is mistaken, and gets the whole content.

    Raises:
        RangeUnsatisfiable: no range has bytes of the content. The conformance suite of the
            distribution-spec wants that for `bytes=500-0` too, and section 14.2 allows it.
    """
    if header is None or not size:
        return ()
    unit, equals, listed = header.partition("=")
    wanted = [part.strip() for part in listed.split(",") if part.strip()]
    if unit.strip().lower() != "bytes" or not equals or not 0 < len(wanted) <= MAX_SPANS:
        return ()
    spans: list[Span] = []
    is_mistaken = False
    for part in wanted:
        found = _RANGE.fullmatch(part)
        if found is None or part == "-" or max(map(len, found.groups())) > MAX_DIGITS:
            return ()
        first, last = found.groups()
        is_reversed = bool(first and last) and int(first) > int(last)
        is_mistaken |= is_reversed
        span = None if is_reversed else _resolve(first, last, size)
        if span is not None:
            spans.append(span)
    if not spans:
        raise RangeUnsatisfiable(size)
    return () if is_mistaken else tuple(spans)


def _resolve(first: str, last: str, size: int) -> Span | None:
    if not first:
        length = min(int(last), size)
        return Span(size - length, size) if length else None
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    return Span(start, stop) if start < size else None


def parse_content_range(header: str) -> tuple[Span, int | None] | None:
    """Read `bytes a-b/size`: return the span and the size (None for `*`), or None if malformed."""
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None:
        return None
    first, last, total = found.groups()
    size = None if total == "*" else int(total)
    span = Span(int(first), int(last) + 1)
    if span.length <= 0 or span.stop > (MAX_SIZE if size is None else min(size, MAX_SIZE)):
        return None
    return None if size is not None and size > MAX_SIZE else (span, size)
