"""How often one address may ask for what no upstream has.

Such a request costs a question to an upstream, which takes far more time of a worker than an answer
from what is stored. Nothing else bounds how many there are: each may have a new name. So each
address has tokens. A question takes one, and gives it back if something was found. Without a token
a request waits, which costs no time of the worker, and is then refused.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from registry.errors import TooManyUnknown, Unknown
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.settings.client_networks import find_network
from registry.tasks import Waiters

# Seconds of the rate that an address may use at once: with the default, 200 questions in each
# worker. So who looks for signatures and attestations of 100 images at once notices nothing.
BURST = 20.0
PATIENCE = 5.0  # seconds for a token; with the 25 of a question it is what containerd waits
MOST = 10_000  # addresses that are remembered; an attacker may have many
REASON = "not found"  # the label of the metric


@dataclass(slots=True)
class Question:
    """A question to an upstream; whoever gets an answer without content says so."""

    is_empty: bool = False


@dataclass(slots=True, eq=False)
class _Allowance:
    """The tokens of one address; `waiting` has the requests without a token, the oldest first."""

    tokens: float
    since: float
    waiting: Waiters = field(default_factory=Waiters)
    timer: asyncio.TimerHandle | None = None
    is_logged: bool = False


class QuestionLimit:
    """The tokens of all addresses; `rate` is how many an address gets in a second."""

    def __init__(
        self,
        rate: float,
        metrics: Metrics,
        clock: Callable[[], float],
        patience: float = PATIENCE,
        show_address: Callable[[str | None], str | None] = lambda address: address,
    ) -> None:
        """`clock` is in seconds, and never goes back.

        `show_address` returns what the log says of the address of a client.
        """
        self._rate = rate
        self._burst = BURST * rate
        self._delayed = metrics.delayed_requests.labels(REASON)
        self._clock = clock
        self._patience = patience
        self._show_address = show_address
        self._allowances: OrderedDict[bytes, _Allowance] = OrderedDict()
        self._log = get_logger("registry.mirror")

    def __len__(self) -> int:
        return len(self._allowances)

    @asynccontextmanager
    async def hold(self, client: str | None) -> AsyncIterator[Question]:
        """Hold a token of a client's address while its question is asked.

        The token is lost if the question ends with `Unknown`, if it `is_empty`, or if the client
        leaves: the question then goes on without it. None stands for the mirror itself, which needs
        no token.

        Raises:
            TooManyUnknown: the address has no token, and got none within `patience` seconds.
        """
        question = Question()
        if client is None:
            yield question
            return
        allowance = await self._take(client)
        try:
            yield question
        except Unknown:
            raise
        except Exception:
            self._give_back(allowance)
            raise
        if not question.is_empty:
            self._give_back(allowance)

    async def _take(self, client: str) -> _Allowance:
        allowance = self._find(find_network(client))
        self._refill(allowance)
        if allowance.tokens >= 1 and not allowance.waiting:
            allowance.tokens -= 1
            return allowance
        self._delayed.inc()
        if not allowance.is_logged:
            allowance.is_logged = True
            shown = self._show_address(client)
            self._log.warning("client asks for much that does not exist", client=shown)
        turn = allowance.waiting.join()
        self._serve(allowance)
        if not await allowance.waiting.wait(
            turn, self._patience, lambda: self._give_back(allowance)
        ):
            raise TooManyUnknown
        return allowance

    def _find(self, network: bytes) -> _Allowance:
        """Return the allowance of an address, and forget those that are not used any more."""
        now = self._clock()
        found = self._allowances.get(network)
        if found is None:
            found = self._allowances[network] = _Allowance(self._burst, now)
        self._allowances.move_to_end(network)
        while len(self._allowances) > 1:
            oldest = next(iter(self._allowances.values()))
            if len(self._allowances) <= MOST and now - oldest.since < BURST:
                break
            self._allowances.popitem(last=False)
        return found

    def _refill(self, allowance: _Allowance) -> None:
        now = self._clock()
        allowance.tokens += (now - allowance.since) * self._rate
        allowance.since = now
        if allowance.tokens >= self._burst:
            allowance.tokens, allowance.is_logged = self._burst, False

    def _give_back(self, allowance: _Allowance) -> None:
        allowance.tokens += 1
        self._serve(allowance)

    def _serve(self, allowance: _Allowance) -> None:
        """Give tokens to the requests that wait for them, and come back for the next token."""
        self._refill(allowance)
        while allowance.waiting and allowance.tokens >= 1:
            allowance.tokens -= 1
            allowance.waiting.let_go()
        if allowance.waiting and allowance.timer is None:

            def go_on() -> None:
                allowance.timer = None
                self._serve(allowance)

            seconds = (1 - allowance.tokens) / self._rate
            allowance.timer = asyncio.get_running_loop().call_later(seconds, go_on)
