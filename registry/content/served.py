"""What servers have answered and downloaded since their start, over all of their processes."""

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from registry.metrics.collection import Value, read_values

# The origins of content that is not stored yet. A client that gets one blob in many ranges joins
# its own download with most of them.
_DOWNLOADING = ("miss", "joined")
_CONTENT = ("manifests", "blobs")  # the kinds of requests that are answered with content
# Kinds of totals that are no kinds of requests; the origin of the first one is the upstream.
UPSTREAM = "upstream"
STORED = "stored"
EVICTED = "evicted"
PASSED_THROUGH = "passed through"
# Which metric counts requests (0) or bytes (1) of which kind.
_AMOUNTS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "entrepot_requests_total": ("", 0),
        "entrepot_sent_bytes_total": ("", 1),
        "entrepot_upstream_requests_total": (UPSTREAM, 0),
        "entrepot_downloaded_bytes_total": (UPSTREAM, 1),
        "entrepot_stored_bytes_total": (STORED, 1),
        "entrepot_evicted_bytes_total": (EVICTED, 1),
        "entrepot_passed_through_total": (PASSED_THROUGH, 0),
    }
)


@dataclass(frozen=True, slots=True)
class ServedTotals:
    """How many answers had content (`requests`), and how many bytes of content were sent (`sent`).

    `hits` are those of the requests whose content was stored, and `hit_bytes` the bytes that were
    sent of it. `fetched` are the bytes that came from upstreams.
    """

    requests: int = 0
    hits: int = 0
    sent: int = 0
    hit_bytes: int = 0
    fetched: int = 0

    @property
    def saved(self) -> int:
        """By how many bytes what was sent exceeds what was downloaded.

        0 if more was downloaded than sent, because clients left.
        """
        return max(0, self.sent - self.fetched)

    @property
    def hit_ratio(self) -> float:
        """The part of the answers whose content was stored, 0 to 1."""
        return self.hits / self.requests if self.requests else 0.0

    @property
    def byte_hit_ratio(self) -> float:
        """The part of the sent bytes whose content was stored, 0 to 1."""
        return self.hit_bytes / self.sent if self.sent else 0.0


def add_up(amounts: Iterable[tuple[str, str, int, int]]) -> ServedTotals:
    """Return the totals of amounts: kind, origin, requests and bytes of each. Pure."""
    requests = hits = sent = hit_bytes = fetched = 0
    for kind, origin, count, size in amounts:
        if kind == UPSTREAM:
            fetched += size
        if kind in _CONTENT and origin:
            is_hit = origin not in _DOWNLOADING
            requests, sent = requests + count, sent + size
            hits, hit_bytes = hits + count * is_hit, hit_bytes + size * is_hit
    return ServedTotals(requests, hits, sent, hit_bytes, fetched)


def split(amounts: Iterable[tuple[str, str, int, int]]) -> dict[str, tuple[int, int]]:
    """Return how many answers had content, and their bytes, by its origin. Pure.

    `amounts` are those of `add_up`.
    """
    found: dict[str, tuple[int, int]] = {}
    for kind, origin, count, size in amounts:
        if kind in _CONTENT and origin:
            requests, sent = found.get(origin, (0, 0))
            found[origin] = requests + count, sent + size
    return dict(sorted(found.items()))


def total(values: Iterable[Value]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the requests and bytes of metrics, by kind and origin. Pure."""
    found: dict[tuple[str, str], list[int]] = collections.defaultdict(lambda: [0, 0])
    for each in values:
        if each.name in _AMOUNTS:
            kind, place = _AMOUNTS[each.name]
            kind = kind or each.labels.get("kind", "")
            origin = each.labels.get("upstream" if kind == UPSTREAM else "origin", "")
            found[kind, origin][place] += int(each.number)
    return {key: (requests, size) for key, (requests, size) in found.items()}


def read_served(folders: Iterable[Path]) -> ServedTotals:
    """Return the totals of servers from the folders of their metrics."""
    found = total(read_values(folders))
    return add_up((*key, *amounts) for key, amounts in found.items())
