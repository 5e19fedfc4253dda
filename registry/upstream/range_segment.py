"""A range of a blob that one endpoint sends, and how long it still takes; pure."""

from dataclasses import dataclass

from registry.upstream.range_sender import Sender

STALLED = 1.0  # seconds without a byte after which a range is given to another endpoint
FIRST_BYTE = 3.0  # seconds until the first byte of an endpoint of which nothing is known
FIRST_BYTE_FACTOR = 3.0  # the first byte may take that many times what it usually takes


@dataclass(eq=False, slots=True)
class Segment:
    """A range that one endpoint sends; `stop` becomes smaller if others take a part of it."""

    sender: Sender
    start: int
    stop: int
    began: float
    received: int = 0
    first_at: float | None = None  # when the first bytes came
    first_size: int = 0  # they may have been buffered, so they do not show the speed of the link
    moved_at: float = 0.0
    is_running: bool = True
    is_shortened: bool = False

    @property
    def offset(self) -> int:
        """Where its next byte is in the blob."""
        return self.start + self.received

    @property
    def length(self) -> int:
        """How many bytes it has to bring."""
        return self.stop - self.start

    @property
    def left(self) -> int:
        """How many bytes it has not received yet."""
        return self.stop - self.offset

    @property
    def is_ended_early(self) -> bool:
        """Whether all wanted bytes came, and the body goes on; otherwise it is read to its end.

        Then its connection stays usable.
        """
        return self.is_shortened and not self.left

    def measure(self, now: float) -> float | None:
        """Return its rate; None if it is too early to say."""
        if self.first_at is None or now <= self.first_at or self.received <= self.first_size:
            return None
        return (self.received - self.first_size) / (now - self.first_at)

    def estimate(self, now: float) -> float:
        """Return the seconds until its last byte, if it goes on as it did."""
        rate = self.measure(now)
        if rate is None:
            share = self.sender.find_share(self.sender.running)
            expected = (self.sender.first_byte or 0.0) + self.left / share
            return max(now - self.moved_at, expected - (now - self.began))
        return max(now - self.moved_at, self.left / rate)

    def is_stalled(self, now: float) -> bool:
        """Whether no byte has come for too long."""
        return now - self.moved_at >= self._find_patience()

    def _find_patience(self) -> float:
        if self.first_at is not None:
            return STALLED
        known = self.sender.first_byte
        return FIRST_BYTE if known is None else max(STALLED, FIRST_BYTE_FACTOR * known)
