"""The bandwidth to the upstreams, which all processes on a data folder share.

Several times a second each process that downloads says what its downloads want, reads what the
others want, and computes its own share of each upstream's `max_rate` (decision record 0034). A
process whose downloads are all for clients, and have no limit, only says it.
"""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple

from registry.settings.rates import RateSchedule, find_minute
from registry.store.demand_files import DemandFiles
from registry.tasks import Tasks, in_thread
from registry.upstream.pacing import Link, Pacer
from registry.upstream.rate_shares import Demand, ProcessDemand, share_rate

INTERVAL = 0.2  # seconds between two exchanges with the other processes
TELLING = 0.5  # seconds between two times that a process tells others of downloads without a limit
LEAST_PAUSE = 0.02  # seconds between two exchanges because downloads began
LINGER = 2.0  # seconds without downloads after which a process stops to exchange


class Bandwidth:
    """What the downloads of this process may use of the bandwidth; `rates` are by upstream.

    With `is_warming`, its downloads are for nobody, unless another process follows one for a
    client. `clock` gives epoch seconds.
    """

    def __init__(
        self,
        files: DemandFiles,
        tasks: Tasks,
        rates: Mapping[str, RateSchedule],
        clock: Callable[[], float],
        *,
        is_warming: bool,
    ) -> None:
        self.is_warming = is_warming
        self._files = files
        self._tasks = tasks
        self._rates = {name: rate for name, rate in rates.items() if rate.is_limited}
        self._clock = clock
        self._links = {name: Link(time.monotonic) for name in rates}
        self._used: dict[str, Link] = {}  # those that have had a download
        self._running: Counter[str] = Counter()  # downloads of this process, by upstream
        self._has_news = asyncio.Event()

    @contextmanager
    def open(self, upstream: str, is_urgent: Callable[[], bool]) -> Iterator[Pacer]:
        """Yield the pace of a download; `is_urgent` says whether a client reads it now."""
        link = self._links[upstream]
        if upstream not in self._used:
            self._used[upstream] = link
            link.set_shares(share_rate(self._find_rate(upstream), [ProcessDemand()])[0])
        self._running[upstream] += 1
        try:
            with link.open(is_urgent) as pacer:
                if self._is_shared():  # else the others may learn of it a little later
                    self._has_news.set()
                self._tasks.share("bandwidth", self._keep_sharing)
                yield pacer
        finally:
            self._running[upstream] -= 1

    async def _keep_sharing(self) -> None:
        """Exchange demands as long as downloads run, and a little longer."""
        try:
            while self._is_wanted():
                await self._share_until_idle()
                await in_thread(self._files.withdraw)  # meanwhile a download may begin
        except asyncio.CancelledError:
            self._files.withdraw()  # the process ends, and must not wait for a thread
            raise

    async def _share_until_idle(self) -> None:
        clock = asyncio.get_running_loop().time
        used_at, is_end_told = clock(), False
        while clock() - used_at < LINGER:
            is_wanted = self._is_wanted()
            self._has_news.clear()
            if is_wanted or not is_end_told:
                await self._share()
            is_end_told = not is_wanted
            await asyncio.sleep(LEAST_PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL if self._is_shared() else TELLING):
                    await self._has_news.wait()
            if self._is_wanted():
                used_at = clock()

    def _is_wanted(self) -> bool:
        """Whether a download is running, or began and ended since the last exchange."""
        return self._has_news.is_set() or self._running.total() > 0

    async def _share(self) -> None:
        own = {name: link.measure() for name, link in self._used.items()}
        told = {name: astuple(each) for name, each in own.items() if each != ProcessDemand()}
        exchange = self._files.exchange if self._is_shared() else self._files.tell
        others = await in_thread(exchange, json.dumps(told).encode())
        demands = [parse_demands(each) for each in others]
        for name, mine in own.items():
            wanted = [each[name] for each in demands if name in each]
            self._links[name].set_shares(share_rate(self._find_rate(name), [mine, *wanted])[0])

    def _is_shared(self) -> bool:
        """Whether what others want changes what the downloads of this process may use."""
        return any(
            not math.isinf(self._find_rate(name)) or self._links[name].is_warming
            for name in +self._running
        )

    def _find_rate(self, upstream: str) -> float:
        rate = self._rates.get(upstream)
        return math.inf if rate is None else rate.find_rate(find_minute(self._clock()))


def parse_demands(told: bytes) -> dict[str, ProcessDemand]:
    """Return what another process wants, by upstream; nothing if that is not readable."""
    try:
        return {
            str(name): ProcessDemand(*(_parse_demand(*each) for each in pair))
            for name, pair in json.loads(told).items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}  # written by another version


def _parse_demand(downloads: int, used: float, is_held: bool) -> Demand:
    return Demand(max(0, int(downloads)), max(0.0, float(used)), bool(is_held))
