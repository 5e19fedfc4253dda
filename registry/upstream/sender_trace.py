"""Which endpoint has sent which bytes of one blob, so that wrong bytes are found. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence

from registry.oci.byte_ranges import Span

MOST = 4096  # spans that are remembered; of a larger blob, neighbours share an entry
UNKNOWN = ""  # the origin of bytes that came before anybody noted who sent them


class SenderTrace:
    """The origins of the bytes from 0 on, in their order; neighbours of one origin are joined.

    If there are too many spans, small ones are joined with their neighbours: then all origins of
    such a span may have sent any byte of it.
    """

    def __init__(self, entries: Iterable[tuple[int, Sequence[str]]] = ()) -> None:
        """`entries` are pairs of where a span ends, and the origins that sent it, as `entries`."""
        self._stops: list[int] = []
        self._origins: list[tuple[str, ...]] = []
        for stop, origins in entries:
            if stop > self.stop:
                self._add(stop, tuple(origins))

    def __len__(self) -> int:
        return len(self._stops)

    @property
    def stop(self) -> int:
        """The offset of the next byte."""
        return self._stops[-1] if self._stops else 0

    @property
    def entries(self) -> list[tuple[int, tuple[str, ...]]]:
        """Return pairs of where a span ends, and the origins that sent it."""
        return list(zip(self._stops, self._origins, strict=True))

    @property
    def spans(self) -> list[tuple[Span, tuple[str, ...]]]:
        """Return all spans with the origins that sent them."""
        starts = [0, *self._stops]
        pairs = zip(starts, self._stops, self._origins, strict=False)
        return [(Span(start, stop), origins) for start, stop, origins in pairs]

    def note(self, origin: str, count: int) -> None:
        """Note who has sent the next `count` bytes."""
        if count:
            self._add(self.stop + count, (origin,))

    def _add(self, stop: int, origins: tuple[str, ...]) -> None:
        if self._origins and self._origins[-1] == origins:
            self._stops[-1] = stop
            return
        self._stops.append(stop)
        self._origins.append(origins)
        if len(self._stops) > MOST:
            self._join()

    def _join(self) -> None:
        """Join every second span with the one after it."""
        spans = self.entries
        self._stops, self._origins = [], []
        for first, second in zip(spans[::2], [*spans[1::2], (0, ())], strict=False):
            stop = max(first[0], second[0])
            origins = tuple(dict.fromkeys((*first[1], *second[1])))
            if self._origins and self._origins[-1] == origins:
                self._stops[-1] = stop
            else:
                self._stops.append(stop)
                self._origins.append(origins)

    def resume(self, offset: int) -> None:
        """Go on at `offset`: forget what comes after it; what is not known before it is unknown."""
        while self._stops and (self._stops[-2] if len(self._stops) > 1 else 0) >= offset:
            self._stops.pop()
            self._origins.pop()
        if self._stops and self._stops[-1] > offset:
            self._stops[-1] = offset
        if self.stop < offset:
            self._add(offset, (UNKNOWN,))

    def list_origins(self) -> set[str]:
        """Return who has sent bytes, or may have sent some."""
        return {origin for origins in self._origins for origin in origins}

    def count(self) -> Counter[str]:
        """Return how many bytes each origin has sent, or may have sent."""
        counts: Counter[str] = Counter()
        for span, origins in self.spans:
            for origin in origins:
                counts[origin] += span.length
        return counts

    def has_alone(self, origin: str, span: Span) -> bool:
        """Whether bytes of `span` are known to come from this origin, and from no other."""
        return any(
            origins == (origin,) and each.start < span.stop and span.start < each.stop
            for each, origins in self.spans
        )

    def list_spans(self, origin: str) -> list[Span]:
        """Return the spans that an origin has sent, or may have sent."""
        return [span for span, origins in self.spans if origin in origins]
