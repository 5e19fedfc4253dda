"""Several ranges in one answer: `multipart/byteranges` (RFC 9110 section 14.6). Pure."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from registry.oci import media_types
from registry.oci.byte_ranges import Span


@dataclass(frozen=True, slots=True)
class Multipart:
    """The body of an answer: the spans, the text before each span, and the text after the last."""

    content_type: str
    parts: tuple[tuple[bytes, Span], ...]
    end: bytes

    @property
    def length(self) -> int:
        """The length of the whole body in bytes."""
        return sum(len(head) + span.length for head, span in self.parts) + len(self.end)


def describe_parts(spans: Sequence[Span], size: int) -> Multipart:
    """Lay out an answer with several `spans` of a blob of `size` bytes."""
    boundary = secrets.token_hex(16)
    parts = tuple(
        (
            f"\r\n--{boundary}\r\nContent-Type: {media_types.BLOB}\r\n"
            f"Content-Range: {content_range(span, size)}\r\n\r\n".encode("ascii"),
            span,
        )
        for span in spans
    )
    end = f"\r\n--{boundary}--\r\n".encode("ascii")
    return Multipart(f"multipart/byteranges; boundary={boundary}", parts, end)


def content_range(span: Span, size: int) -> str:
    """Return the value of `Content-Range` for a span."""
    return f"bytes {span.start}-{span.stop - 1}/{size}"
