"""The facts of the first page: is all well, what was saved, how full is it, what happens now."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry.reports.console.downloads import DownloadReport
from registry.reports.console.events import EventReport
from registry.reports.console.health import Health
from registry.reports.console.totals import LargeImage
from registry.reports.console.upstreams import UpstreamReport
from registry.reports.traffic import TrafficReport

LONGEST = 3650  # days; what is further away is not told


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """How many bytes are used, of `limit`, and how many are free on the file system.

    Of the used bytes, `downloading` are reserved for downloads, and `damaged` are in quarantine.
    `pinned` are the bytes that pins keep; None if they were not added up yet. `reserve` bytes of
    the file system stay free.
    """

    used: int
    limit: int
    reserve: int
    free: int
    pinned: int | None
    downloading: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The facts of the first page.

    `images` is the number of tags, `gone` that of tags which their upstream does not have any more,
    `blobs` that of stored blobs; None if they were not counted yet.
    `clients` is the number of clients that have pulled in the last hour. At this week's rate, all
    space is used after `full_in` days (None: never, or not within ten years).
    """

    version: str
    health: Health
    space: DiskSpace
    full_in: float | None
    traffic: TrafficReport
    images: int
    gone: int
    blobs: int | None
    clients: int
    largest: Sequence[LargeImage]
    upstreams: Sequence[UpstreamReport]
    downloads: Sequence[DownloadReport]
    events: Sequence[EventReport]


def find_full_in(space: DiskSpace, growth: float) -> float | None:
    """Return after how many days a store is full that grows by `growth` bytes a day. Pure."""
    if growth <= 0:
        return None
    left = max(0, min(space.limit - space.used, space.free - space.reserve)) / growth
    return left if left <= LONGEST else None
