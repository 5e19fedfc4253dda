"""Byte ranges of content (RFC 9110 section 14)."""

import re
from dataclasses import dataclass

from registry.errors import RangeUnsatisfiable

MAX_SPANS = 64  # ranges of one request; for more ranges, the whole content is sent
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

    A header is ignored if it is malformed, has another unit, or has more than 64 ranges; RFC 9110
    allows that. Ranges outside of the content are left out (section 14.1.2).

    Raises:
        RangeUnsatisfiable: the header is well-formed, but every range is outside of the content.
    """
    if header is None:
        return ()
    unit, equals, listed = header.partition("=")
    wanted = [part.strip() for part in listed.split(",") if part.strip()]
    if unit.strip().lower() != "bytes" or not equals or not 0 < len(wanted) <= MAX_SPANS:
        return ()
    spans: list[Span] = []
    for part in wanted:
        found = _RANGE.fullmatch(part)
        if found is None or part == "-" or max(map(len, found.groups())) > 19:
            return ()
        first, last = found.groups()
        if first and last and int(first) > int(last):
            return ()
        span = _resolve(first, last, size)
        if span is not None:
            spans.append(span)
    if not spans:
        raise RangeUnsatisfiable(size)
    return tuple(spans)


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
    return None if span.length <= 0 or (size is not None and span.stop > size) else (span, size)
