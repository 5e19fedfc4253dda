"""How often one address may be wrong about a password."""

import time
from collections import OrderedDict
from collections.abc import Callable

RATE = 0.5  # wrong passwords a second, in the long run
BURST = 20.0  # wrong passwords at once; people mistype, and a cluster starts with an old secret
REMEMBERED = 10_000  # addresses


class LoginLimit:
    """Counts the checks that each address has caused, and that have failed.

    A check takes a tenth of a second of a core. Without a limit, one address could keep the
    machine busy, and try many passwords.
    """

    def __init__(
        self, find_network: Callable[[str], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`find_network` returns what counts as one address: a client has very many of IPv6."""
        self._find_network = find_network
        self._clock = clock
        self._spent: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Whether an address may cause another check."""
        return self._find_spent(self._find_network(address)) < BURST

    def note_failure(self, address: str) -> None:
        """Count a check that has failed."""
        network = self._find_network(address)
        self._spent[network] = self._find_spent(network) + 1.0, self._clock()
        self._spent.move_to_end(network)
        while len(self._spent) > REMEMBERED:
            self._spent.popitem(last=False)

    def _find_spent(self, network: bytes) -> float:
        spent, at = self._spent.get(network, (0.0, 0.0))
        return max(0.0, spent - RATE * (self._clock() - at))
