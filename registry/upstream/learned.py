"""What the answers of one endpoint have shown: kept in memory, and for a limited time."""

from collections.abc import Callable
from typing import Generic, TypeVar

from registry.upstream.statuses import Resource

REMEMBERED = 3600.0  # seconds: a registry may be upgraded, or a proxy removed
MOST = 1000  # facts of each kind; clients may ask for many names

Key = TypeVar("Key")
Value = TypeVar("Value")


class Facts(Generic[Key, Value]):
    """Facts by key, each for `seconds`; `clock` is in seconds too."""

    def __init__(self, clock: Callable[[], float], seconds: float = REMEMBERED) -> None:
        self._clock = clock
        self._seconds = seconds
        self._facts: dict[Key, tuple[Value, float]] = {}

    def learn(self, key: Key, value: Value) -> None:
        """Remember a fact, and forget the oldest one if there are too many."""
        self._facts.pop(key, None)
        self._facts[key] = value, self._clock() + self._seconds
        if len(self._facts) > MOST:
            del self._facts[next(iter(self._facts))]

    def forget(self, key: Key) -> None:
        """Forget what was learned about `key`."""
        self._facts.pop(key, None)

    def find(self, key: Key) -> Value | None:
        """Return what was learned about `key`; None if it is not known, or no longer."""
        value, until = self._facts.get(key, (None, 0.0))
        return value if self._clock() < until else None


class Learned:
    """Which requests are of no use at one endpoint."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._useless_heads = Facts[Resource, bool](clock)
        self._trusted_heads = Facts[tuple[Resource, str], bool](clock)
        self._refused_ranges = Facts[None, bool](clock)
        self._trusted_ranges = Facts[None, bool](clock)

    def trust_head(self, resource: Resource, repository: str) -> None:
        """Note that a HEAD was answered: so a 404 to a HEAD means that there is no such content."""
        self._trusted_heads.learn((resource, repository), True)

    def is_head_trusted(self, resource: Resource, repository: str) -> bool:
        """Whether a HEAD in this repository was answered before."""
        return bool(self._trusted_heads.find((resource, repository)))

    def refuse_head(self, resource: Resource) -> None:
        """Note that a HEAD was refused, and the GET of the same content was answered."""
        self._useless_heads.learn(resource, True)

    def is_head_useless(self, resource: Resource) -> bool:
        """Whether a HEAD is not sent, because only a GET is answered."""
        return bool(self._useless_heads.find(resource))

    def refuse_ranges(self) -> None:
        """Note that a range was refused, and the request without a range was answered."""
        self._refused_ranges.learn(None, True)

    def trust_ranges(self) -> None:
        """Note that a range was answered: so a 403 means something else, such as an expired URL."""
        self._trusted_ranges.learn(None, True)

    def are_ranges_trusted(self) -> bool:
        """Whether a range was answered before."""
        return bool(self._trusted_ranges.find(None))

    def has_no_ranges(self) -> bool:
        """Whether ranges are not asked for, because they are refused."""
        return bool(self._refused_ranges.find(None))
