"""How many requests of one address are in flight: read, and not answered to their end.

Each takes a task, a connection and often files. Without proxies, the connections of an address
bound them. Clients behind a proxy share its connections, so there each client has to be counted by
what it asks.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from registry.access.shown_addresses import ShowAddress, show_whole
from registry.errors import TooManyRequests
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.tasks import Waiters

PATIENCE = 5.0  # seconds that a request waits for the end of another one of its address
REASON = "address"  # the label of the metrics


@dataclass(slots=True, eq=False)
class _Address:
    """The requests of one address; `waiting` has those that have waited for the end of another."""

    network: bytes
    running: int = 0
    waiting: Waiters | None = None
    is_logged: bool = False


class OpenRequests:
    """The requests of all addresses; each may have `most` at once, and as many that wait."""

    def __init__(
        self,
        most: int,
        metrics: Metrics,
        find_network: Callable[[str], bytes],
        show_address: ShowAddress = show_whole,
        patience: float = PATIENCE,
    ) -> None:
        """`find_network` returns what counts as one address: all in it are one client.

        `show_address` returns what the log says of an address.
        """
        self._most = most
        self._delayed = metrics.delayed_requests.labels(REASON)
        self._refused = metrics.refused_requests.labels(REASON)
        self._find_network = find_network
        self._show_address = show_address
        self._patience = patience
        self._addresses: dict[bytes, _Address] = {}
        self._log = get_logger("registry.api")

    def __len__(self) -> int:
        return len(self._addresses)

    def has_room(self, client: str | None) -> bool:
        """Whether one more request of a client need not wait."""
        if client is None or not self._addresses:
            return True
        address = self._addresses.get(self._find_network(client))
        return address is None or address.running < self._most

    def add(self, client: str | None) -> None:
        """Count a request that goes on for some time, until `end`; `has_room` was asked before."""
        if client is not None:
            self._find(client).running += 1

    def end(self, client: str | None) -> None:
        """End a request; if another one of the address waits, it begins."""
        if client is not None:
            self._end(self._addresses[self._find_network(client)])

    def _end(self, address: _Address) -> None:
        if address.waiting and address.running <= self._most:
            address.waiting.let_go()
            return
        address.running -= 1
        if not address.running:
            del self._addresses[address.network]

    async def begin(self, client: str | None) -> None:
        """Count a request, until the task that has called this has ended.

        If its address has too many, wait for the end of one of them. A client whose address is not
        known is not counted.

        Raises:
            TooManyRequests: none has ended in time, or too many wait already.
        """
        if client is None:
            return
        address = self._find(client)
        if address.running < self._most:
            address.running += 1
        else:
            await self._wait(address, client)
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda _: self._end(address))

    def _find(self, client: str) -> _Address:
        network = self._find_network(client)
        found = self._addresses.get(network)
        if found is None:
            found = self._addresses[network] = _Address(network)
        return found

    async def _wait(self, address: _Address, client: str) -> None:
        self._delayed.inc()
        if not address.is_logged:
            address.is_logged = True
            shown = self._show_address(client)
            self._log.warning("client has too many requests at once", client=shown)
        waiting = address.waiting = address.waiting or Waiters()
        if len(waiting) >= self._most:
            self._refuse()
        if not await waiting.wait(waiting.join(), self._patience, lambda: self._end(address)):
            self._refuse()

    def _refuse(self) -> None:
        self._refused.inc()
        raise TooManyRequests(self._most)
