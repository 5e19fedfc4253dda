"""The redirects of the endpoints for one blob: further requests for it go to their targets."""

from collections.abc import Callable
from dataclasses import dataclass, field

from registry.upstream.endpoint import Endpoint

REDIRECT_LIFE = 120.0  # seconds for which a download reuses the URL of a redirect


@dataclass(frozen=True, slots=True)
class _Redirect:
    url: str = field(repr=False)  # signed
    until: float


class KeptRedirects:
    """The last redirect of each endpoint, of one blob only: signed URLs expire.

    `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[Endpoint, _Redirect] = {}

    def find(self, endpoint: Endpoint) -> str | None:
        """Return the URL that an endpoint has sent to, if it is recent."""
        found = self._kept.get(endpoint)
        return found.url if found is not None and self._clock() < found.until else None

    def keep(self, endpoint: Endpoint, url: str) -> None:
        """Note that an endpoint has sent to `url` now."""
        self._kept[endpoint] = _Redirect(url, self._clock() + REDIRECT_LIFE)

    def forget(self, endpoint: Endpoint) -> None:
        """Ask an endpoint itself next time."""
        self._kept.pop(endpoint, None)
