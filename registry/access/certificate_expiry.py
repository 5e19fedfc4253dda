"""When the certificates of a server end: who is told, and what they read.

A certificate that has ended stops all clients at once, and nobody notices it before.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from registry.logs import get_logger
from registry.store.file_watch import FileWatch
from registry.tasks import in_thread

DAY = 86_400.0  # seconds; a warning is repeated once a day
SOON = 30 * DAY  # seconds before the end, from which on there are warnings
PAUSE = 60.0  # seconds between two looks at the files
_CURE = "make or get another one; for those of entrepot tls, run: entrepot tls self-signed"


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """The `setting` that names a file, and when its certificate ends (epoch seconds)."""

    setting: str
    path: Path
    expires: float

    @property
    def date(self) -> str:
        """The day, for people who may be anywhere."""
        return f"{datetime.fromtimestamp(self.expires, UTC):%Y-%m-%d} UTC"

    def explain(self, now: float) -> str:
        """Return a line for an operator; empty if there is time enough."""
        if self.expires - now >= SOON:
            return ""
        state = "expires" if self.expires > now else "has expired"
        return f"{self.setting}: {self.path} {state} on {self.date}; {_CURE}"


def choose_end(ends: list[float], now: float) -> float:
    """Return when a file of certificates ends, of which each may stand in for another one.

    What has ended already does not count while another one is left.
    """
    return min((each for each in ends if each > now), default=max(ends))


def read_ends(
    servers: Mapping[str, Path], authorities: Mapping[str, Path], now: float
) -> list[CertificateEnd]:
    """Read files of PEM, by the settings that name them; those that cannot be read are left out.

    Of a server's chain, the first certificate counts, which is its own.
    """
    from registry.access.certificates import parse_ends  # noqa: PLC0415 - it takes memory

    found = []
    for setting, path in (*servers.items(), *authorities.items()):
        try:
            ends = parse_ends(path.read_bytes())
        except (OSError, ValueError):  # whoever uses the file says what is wrong
            continue
        end = ends[0] if setting in servers else choose_end(ends, now)
        found.append(CertificateEnd(setting, path, end))
    return found


class ExpiryWatch:
    """Knows when the certificates of a running server end, and warns of it in the log.

    It warns when it begins, once a day, and after a change of the files.
    """

    def __init__(
        self,
        servers: Mapping[str, Path],
        authorities: Mapping[str, Path],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`servers` and `authorities` are files, by the settings that name them."""
        self._servers, self._authorities = servers, authorities
        self._clock = clock
        self._watch = FileWatch([*servers.values(), *authorities.values()])
        self._warned_at: float | None = None
        self._log = get_logger("registry.access")
        self._ends: list[CertificateEnd] = []

    def list_ends(self) -> tuple[tuple[str, float], ...]:
        """Return the settings that name certificates, and when these end (epoch seconds)."""
        return tuple((each.setting, each.expires) for each in self._ends)

    async def keep_watching(self) -> None:
        """Run until cancelled; without files, there is nothing to do."""
        while self._servers or self._authorities:
            await self.look()
            await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Read the files if they have changed, or a day is over, and warn if it is time."""
        now = self._clock()
        has_changed = self._watch.has_changed()
        is_recent = self._warned_at is not None and now - self._warned_at < DAY
        if is_recent and not has_changed:
            return
        self._warned_at = now
        self._ends = await in_thread(lambda: read_ends(self._servers, self._authorities, now))
        for end in self._ends:
            if why := end.explain(now):
                write = self._log.warning if end.expires > now else self._log.error
                write("certificate expires", certificate=str(end.path), expires=end.date, why=why)
