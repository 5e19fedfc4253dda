"""`Via` headers of the mirror's requests, by which it notices a loop (RFC 9110 section 7.6.3).

An endpoint, a redirect or a token server may lead back to the mirror, directly or over other
mirrors. So each request to an upstream names the mirrors that it has passed through, and a mirror
refuses a request that it has sent itself (decision record 0028).
"""

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar

from registry.errors import UpstreamLoop

VIA = "Via"
MAX_MIRRORS = 8  # that a request may pass through; more are a loop over mirrors that restart
_MIRROR = re.compile(r"\bentrepot-[0-9a-f]{16}\b")

# The mirrors that the request passed through which this task works for. Tasks inherit it, so that a
# question which several requests share has that of the first: see `names_passed`.
_passed: ContextVar[tuple[str, ...]] = ContextVar("passed", default=())


def make_name() -> str:
    """Return a new name for a mirror: it says nothing about the machine."""
    return f"entrepot-{secrets.token_hex(8)}"


def names_passed() -> tuple[str, ...]:
    """Return the mirrors that the request passed through which this task works for.

    Requests share a question only if they have the same. Otherwise the question of one that is
    refused for its names, which a client may invent, would fail for all that joined it.
    """
    return _passed.get()


class ViaWriter:
    """Reads and writes `Via` for the mirror `name`, which all its processes share."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, headers: Iterable[str]) -> bool:
        """Read the `Via` headers of a request, for the requests to upstreams that follow from it.

        Returns whether the request comes from another mirror.

        Only names of mirrors are kept: clients must not write into requests to upstreams.

        Raises:
            UpstreamLoop: the mirror has sent the request itself, or too many mirrors have.
        """
        passed = tuple(name for header in headers for name in _MIRROR.findall(header))
        if self._name in passed or len(passed) > MAX_MIRRORS:
            raise UpstreamLoop(self._name)
        _passed.set(passed)
        return bool(passed)

    def write(self) -> str:
        """Return the value of `Via` for a request to an upstream."""
        return ", ".join(f"1.1 {name}" for name in (*_passed.get(), self._name))
