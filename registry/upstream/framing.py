"""How many bytes a server may send beside the content of one answer. Pure.

The parsers of HTTP have no limit for interim answers (1xx), nor for what stands between the chunks
of a body. A server could send them without end, and the time limits for silence would never begin.
"""

import re

MAX_INTERIM = 16  # interim answers before an answer
MAX_INTERIM_HEAD = 8 * 1024  # bytes of one of them
MAX_HEAD = 256 * 1024  # bytes of the head of an answer, with the interim answers before it
MAX_FRAMING = 64 * 1024  # bytes beside the content of a body
CONTENT_PER_FRAMING = 4  # bytes of content for each further byte beside it: small chunks cost time
_INTERIM = re.compile(rb"HTTP/1\.[01] 1[0-9]{2}[^\n]*+\n(?:[^\r\n][^\n]*+\n)*+\r?\n")
_INTERIM_BEGINS = re.compile(rb"HTTP/1\.[01] 1[0-9]{2}")


class FramingExcess(Exception):
    """A server sends too much beside the content; the message says what."""


class Framing:
    """Counts the bytes of one answer: all that were received, and those that are content.

    Whoever has many pieces need not call this for each of them. `received` counts all bytes: when
    `head` is None, there is nothing more to find in them before they are parsed, so that adding
    their number is enough. `check` finds nothing as long as at most `harmless` of the bytes are not
    content.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin to count anew, because a request was sent."""
        self.received = 0
        self.head: bytes | None = b""  # the beginning of the next head; None after the last one
        self.harmless = -1  # bytes
        self._interim = 0
        self._before_body: int | None = None  # bytes that had been received when the body began

    def receive(self, data: bytes) -> None:
        """Count bytes that were received, before they are parsed.

        Raises:
            FramingExcess: there are too many interim answers, or one is too long.
        """
        self.received += len(data)
        if self.head is None:
            return
        head = self.head + data
        while (interim := _INTERIM.match(head)) is not None:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise FramingExcess(f"sends more than {MAX_INTERIM} interim answers (1xx)")
            head = head[interim.end() :]
        if len(head) < len(b"HTTP/1.1 1xx"):
            self.head = head
        elif _INTERIM_BEGINS.match(head) is None:
            self.head = None
        elif len(head) > MAX_INTERIM_HEAD:
            raise FramingExcess("sends an interim answer (1xx) without end")
        else:
            self.head = head

    def check(self, content: int | None) -> None:
        """Compare the bytes that were received with those that are content.

        `content` is None as long as the head of the answer was not read to its end.

        Raises:
            FramingExcess: there is too much beside the content.
        """
        if content is None:
            if self.received > MAX_HEAD:
                raise FramingExcess(f"sends a head of more than {MAX_HEAD // 1024} KiB")
            return
        if self._before_body is None:
            self._before_body = self.received
            self.harmless = self._before_body + MAX_FRAMING
        beside = self.received - self._before_body - content
        if beside > MAX_FRAMING + content // CONTENT_PER_FRAMING:
            raise FramingExcess("sends far more between the chunks of its answer than in them")
