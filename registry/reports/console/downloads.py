"""The blobs that are being downloaded, with their speed from two looks at their files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry.content.usage import RunningDownload

MEMORY = 10.0  # seconds after which an earlier look says nothing of the speed now
_LEAST = 0.5  # seconds between two looks of which a speed is computed


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """A blob that is being downloaded or imported: `arrived` of `expected` bytes are here.

    `expected` is None if the size is not known. `rate` is in bytes per second, and None at the
    first look; `seconds_left` is None if it cannot be said. `repository` is empty for an import,
    `endpoint` until the first bytes are here. `started` is in epoch seconds (0: not known).
    `clients` get it while it arrives.
    """

    digest: str
    repository: str
    endpoint: str
    started: float
    arrived: int
    expected: int | None
    rate: float | None
    seconds_left: float | None
    clients: int


# A digest and a repository: two registries may be asked for the same blob.
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    arrived: int
    rate: float | None


class DownloadWatch:
    """Looks at running downloads, and remembers what it saw for the speed."""

    def __init__(self, look: Callable[[], Sequence[RunningDownload]]) -> None:
        self._look = look
        self._seen: dict[_Key, _Look] = {}

    def take(self, now: float) -> list[DownloadReport]:
        """Return the running downloads at `now` (seconds of any clock), the largest first."""
        found = {(str(each.digest), each.repository): each for each in self._look()}
        self._seen = {
            key: self._compare(self._seen.get(key), each.arrived, now)
            for key, each in found.items()
        }
        reports = [_report(each, self._seen[key].rate) for key, each in found.items()]
        return sorted(reports, key=lambda each: (-(each.expected or 0), each.digest))

    def _compare(self, former: _Look | None, arrived: int, now: float) -> _Look:
        if former is None or now - former.at > MEMORY or arrived < former.arrived:
            return _Look(now, arrived, None)
        if now - former.at < _LEAST:
            return former
        return _Look(now, arrived, (arrived - former.arrived) / (now - former.at))


def _report(found: RunningDownload, rate: float | None) -> DownloadReport:
    left = None
    if rate and found.expected is not None:
        left = max(0, found.expected - found.arrived) / rate
    return DownloadReport(
        str(found.digest),
        found.repository,
        found.endpoint,
        found.started,
        found.arrived,
        found.expected,
        rate,
        left,
        found.clients,
    )
