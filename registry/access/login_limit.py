"""How often one address may be wrong about a password, or about anything that proves who it is."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from registry.access.shown_addresses import ShowAddress, show_whole
from registry.logs import get_logger

RATE = 0.5  # wrong passwords a second, in the long run
BURST = 20.0  # wrong passwords at once; people mistype, and a cluster starts with an old secret
REMEMBERED = 10_000  # addresses
WRONG_PASSWORDS = "client is wrong about passwords too often"  # lines of the log
TOKEN_RATE, TOKEN_BURST = 10.0, 200.0  # the same, of requests for tokens of `/token`
TOKEN_FLOOD = "client asks for too many tokens"  # noqa: S105 - a line of the log # nosec B105
WRONG_CREDENTIALS = "client is wrong about tokens or logins too often"


@dataclass(slots=True)
class _Spent:
    """How many checks an address has spent at a moment, in seconds."""

    checks: float
    at: float
    is_logged: bool = False


class LoginLimit:
    """Counts the checks that each address has caused, and that run or have failed.

    A check takes a tenth of a second of a core. Without a limit, one address could keep the
    machine busy, and try many passwords.
    """

    def __init__(
        self,
        find_network: Callable[[str], bytes] = str.encode,
        clock: Callable[[], float] = time.monotonic,
        *,
        event: str = WRONG_PASSWORDS,
        rate: float = RATE,
        burst: float = BURST,
        show_address: ShowAddress = show_whole,
    ) -> None:
        """`find_network` returns what counts as one address: a client has very many of IPv6.

        An address has `burst` checks at once, and `rate` a second in the long run. `event` is the
        line of the log about one that has none left, with what `show_address` returns.
        """
        self._event = event
        self._rate, self._burst = rate, burst
        self._clock = clock
        self._find_network = find_network
        self._show_address = show_address
        self._spent: OrderedDict[bytes, _Spent] = OrderedDict()
        self._log = get_logger("registry.access")

    def __len__(self) -> int:
        return len(self._spent)

    def take(self, address: str) -> float | None:
        """Spend a check of an address; return how many were spent before, None if none is left.

        It is spent before the check, so that not more of them can wait at once.
        """
        spent = self._find(address)
        if spent.checks > self._burst - 1.0:
            if not spent.is_logged:
                spent.is_logged = True
                shown = self._show_address(address)
                self._log.warning(self._event, client=shown)
            return None
        spent.checks += 1.0
        return spent.checks - 1.0

    def give_back(self, address: str) -> None:
        """Give a check back: the password was right."""
        spent = self._find(address)
        spent.checks = max(0.0, spent.checks - 1.0)

    def _find(self, address: str) -> _Spent:
        network, now = self._find_network(address), self._clock()
        spent = self._spent.get(network)
        if spent is None:
            spent = self._spent[network] = _Spent(0.0, now)
            if len(self._spent) > REMEMBERED:
                self._spent.popitem(last=False)
        self._spent.move_to_end(network)
        spent.checks, spent.at = max(0.0, spent.checks - self._rate * (now - spent.at)), now
        if not spent.checks:
            spent.is_logged = False
        return spent
