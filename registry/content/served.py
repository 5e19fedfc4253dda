"""What running servers have sent, counted over all of their processes."""

import collections
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.metrics.process_metrics import collect

# The origins of content that is not stored yet. A client that gets one blob in many ranges joins
# its own download with most of them.
_DOWNLOADING = ("miss", "joined")
_CONTENT = ("manifests", "blobs")  # the kinds of requests that are answered with content


@dataclass(frozen=True, slots=True)
class ServedTotals:
    """How many answers had content (`requests`), and how many bytes of content were sent (`sent`).

    `hits` are those of the requests whose content was stored. `saved` is by how many bytes what was
    sent exceeds what was downloaded; 0 if more was downloaded than sent, because clients left.
    """

    requests: int
    hits: int
    sent: int
    saved: int


def read_served(folders: Iterable[Path]) -> ServedTotals:
    """Return the totals of servers from the folders of their metrics."""
    counts: collections.Counter[tuple[str, bool]] = collections.Counter()
    downloaded = 0
    for folder in folders:
        samples: list[Any] = []
        with suppress(FileNotFoundError, ValueError):  # the server has just ended
            samples = [each for metric in collect(folder).collect() for each in metric.samples]
        for sample in samples:
            if sample.name == "entrepot_downloaded_bytes_total":
                downloaded += int(sample.value)
            origin = sample.labels.get("origin")
            if origin and sample.labels.get("kind", "blobs") in _CONTENT:
                counts[sample.name, origin not in _DOWNLOADING] += int(sample.value)
    requests, sent = "entrepot_requests_total", "entrepot_sent_bytes_total"
    all_sent = counts[sent, True] + counts[sent, False]
    return ServedTotals(
        requests=counts[requests, True] + counts[requests, False],
        hits=counts[requests, True],
        sent=all_sent,
        saved=max(0, all_sent - downloaded),
    )
