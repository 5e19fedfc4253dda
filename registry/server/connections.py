"""All connections of the clients of one worker: how many there may be, and which are closed."""

import asyncio
import socket
import time
from collections import Counter, deque
from collections.abc import Callable

from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.server.descriptors import count_descriptors, find_descriptor_limit, plan_connections
from registry.server.handshakes import Handshakes
from registry.server.heartbeats import WorkerLoad
from registry.server.open_connection import IDLE, OpenConnection
from registry.server.refusals import Refusals
from registry.settings.client_networks import find_network
from registry.settings.model import LimitSettings

SWEEP = 1.0  # seconds between two looks at all connections
SLICE = 500  # connections that are looked at without a break for other work
RANKING = 0.25  # seconds that an order of the idle connections is used
SETTLED = 1.0  # seconds after which a connection that says nothing may have to make room
MAX_LINES = 20  # lines of the log for single connections in one sweep; the others are one line
FULL, FULL_FOR_ADDRESS = "connections", "address"  # why a client is refused

_Ranked = tuple[tuple[bool, float], OpenConnection]


class Connections:
    """The open connections of one worker, with the limits of `[limits]`."""

    def __init__(
        self,
        limits: LimitSettings,
        metrics: Metrics,
        write_load: Callable[[WorkerLoad], None],
        is_proxy: Callable[[str], bool] = lambda _: False,
        show_address: Callable[[str | None], str | None] = lambda address: address,
    ) -> None:
        """`write_load` tells the other processes what is in use, once in each sweep.

        `is_proxy` says of an address whether it is a proxy of many clients, to which the limit of
        one address does not apply. `show_address` returns what the log says of an address.
        """
        self._limits = limits
        self._descriptors = find_descriptor_limit()
        self._limit, self._limit_per_address = plan_connections(limits, self._descriptors)
        self._metrics = metrics
        self._write_load = write_load
        self._is_proxy = is_proxy
        self.show_address = show_address
        self._log = get_logger("registry.server.worker").bind()
        self._open: dict[OpenConnection, None] = {}
        self.handshakes = Handshakes(self._make_room)
        self._by_network: Counter[bytes] = Counter()
        self._ranked: deque[_Ranked] = deque()
        self._ranked_of: dict[bytes, deque[_Ranked]] = {}
        self._ranked_at = 0.0
        self._refusals = Refusals()
        self._refused: Counter[str] = Counter()
        self._refused_at = 0.0
        self._evicted = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: socket.socket, client: str) -> OpenConnection | str:
        """Add a connection that was just accepted; return it, or why it has to be refused.

        If there are too many, an idle one is closed, of the same address if that has too many.
        """
        network = find_network(client)
        if self._by_network[network] >= self._limit_per_address and not self._is_proxy(client):
            if not self._evict(network):
                return FULL if len(self._open) >= self._limit else FULL_FOR_ADDRESS
        elif len(self._open) >= self._limit and not self._evict():
            return FULL
        entry = OpenConnection(connection, client, network, time.monotonic())
        self._open[entry] = None
        self._by_network[network] += 1
        return entry

    def discard(self, entry: OpenConnection) -> None:
        """Forget a connection that has ended."""
        if entry in self._open:
            del self._open[entry]
            self.handshakes.end(entry)
            entry.forget()
            self._by_network[entry.network] -= 1
            if not self._by_network[entry.network]:
                del self._by_network[entry.network]

    def refuse(self, connection: socket.socket, reason: str, *, has_tls: bool) -> None:
        """Answer a client for whom there is no room, and end its connection."""
        self._refusals.refuse(connection, has_tls=has_tls)
        self.note_refusal(reason)

    def refuse_plain_http(self, entry: OpenConnection, connection: socket.socket) -> None:
        """Answer a client that does not speak TLS, and end its connection."""
        self.discard(entry)
        self._refusals.refuse_plain_http(connection)

    def note_refusal(self, reason: str) -> None:
        """Count a client that was refused; the next sweep logs it."""
        self._refused[reason] += 1
        self._metrics.refused_connections.labels(reason).inc()
        if reason != FULL_FOR_ADDRESS:  # others are still served
            self._refused_at = time.monotonic()

    def evict_idle(self) -> bool:
        """Close the connection that is the least useful; return whether there was one."""
        return self._evict()

    def close_silent(self) -> None:
        """Close the connections from which no byte has come, and those that were refused."""
        self._refusals.close()
        for entry in [each for each in self._open if each.is_silent]:
            self._close(entry)

    async def keep_sweeping(self) -> None:
        """Close in each second what has broken a limit, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            cut = []
            entries = list(self._open)
            for start in range(0, len(entries), SLICE):
                now = time.monotonic()
                for entry in entries[start : start + SLICE]:
                    if entry in self._open and (why := entry.find_fault(now, self._limits)):
                        self._close(entry)
                        self._metrics.cut_connections.labels(why).inc()
                        cut.append((entry.client, why))
                await asyncio.sleep(0)
            self._refusals.close_old(time.monotonic())
            self._report([each for each in cut if each[1] != IDLE])
            self._write_load(self._measure())

    def _close(self, entry: OpenConnection) -> None:
        entry.close()
        self.discard(entry)

    def _make_room(self, entry: OpenConnection) -> None:
        self._close(entry)
        self._metrics.cut_connections.labels("room for others").inc()
        self._evicted += 1

    def _evict(self, network: bytes | None = None) -> bool:
        now = time.monotonic()
        if now - self._ranked_at >= RANKING:
            self._rank(now)
        ranked = self._ranked if network is None else self._ranked_of.get(network, deque())
        while ranked:
            place, entry = ranked.popleft()
            if entry in self._open and entry.rank(now) == place:
                self._make_room(entry)
                return True
        return False

    def _rank(self, now: float) -> None:
        """Put the connections in the order in which they make room."""
        self._ranked_at = now
        found = ((entry.rank(now), entry) for entry in self._open)
        ranked = [(place, entry) for place, entry in found if place and place[1] < now - SETTLED]
        ranked.sort(key=lambda each: each[0])
        self._ranked, self._ranked_of = deque(ranked), {}
        for each in ranked:
            self._ranked_of.setdefault(each[1].network, deque()).append(each)

    def _report(self, cut: list[tuple[str, str]]) -> None:
        for client, why in cut[:MAX_LINES]:
            self._log.info("connection cut", client=self.show_address(client), why=why)
        for why, count in Counter(why for _, why in cut[MAX_LINES:]).items():
            self._log.info("more connections cut", why=why, count=count)
        if self._evicted:
            self._log.info("connections closed to make room", count=self._evicted)
        for why, count in self._refused.items():
            self._log.warning("clients refused", why=why, count=count, connections=len(self))
        self._refused.clear()
        self._evicted = 0

    def _measure(self) -> WorkerLoad:
        return WorkerLoad(
            connections=len(self._open),
            connection_limit=self._limit,
            descriptors=count_descriptors(),
            descriptor_limit=self._descriptors,
            refused_at=self._refused_at,
        )
