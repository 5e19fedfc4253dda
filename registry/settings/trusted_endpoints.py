"""Which endpoints the settings trust to say what a tag means (decision record 0033). Pure."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from registry.settings.endpoints import (
    is_endpoint,
    is_weaker,
    list_secure,
    list_servers,
    server_of,
)
from registry.settings.model import Settings
from registry.settings.upstreams import UpstreamSettings, list_builtin_urls
from registry.settings.values import format_key

# Docker Hub answers at another host than its name says, whatever `aliases` says.
_OWN_HOSTS = MappingProxyType({"docker.io": ("registry-1.docker.io",)})


def list_trusted(name: str, upstream: UpstreamSettings) -> tuple[str, ...]:
    """Return the endpoints of the upstream `name` that are trusted; empty if none is.

    They are those in `trusted`. Without an entry, they are the endpoints at the registry's own
    servers: its name and its aliases. What comes over plain http from a server that has TLS may be
    from anybody: such an endpoint is trusted only if `trusted` has its URL.
    """
    if upstream.trusted:
        secure = _list_secure(name, upstream.endpoints)
        return tuple(
            url
            for url in upstream.endpoints
            if any(is_endpoint(entry, url) for entry in upstream.trusted)
            and (url in upstream.trusted or not is_weaker(url, secure))
        )
    return tuple(
        url for url in upstream.endpoints if is_own(name, upstream.aliases, url, upstream.endpoints)
    )


def is_own(name: str, aliases: Iterable[str], url: str, endpoints: Iterable[str] = ()) -> bool:
    """Whether `url` is at a server of the registry `name` itself: its name, or one of `aliases`.

    Plain http is not, if the server has TLS by one of its `endpoints`, or as that of a built-in
    registry.
    """
    own = list_servers((name, *aliases, *_OWN_HOSTS.get(name, ())))
    return server_of(url) in own and not is_weaker(url, _list_secure(name, endpoints))


def _list_secure(name: str, endpoints: Iterable[str]) -> frozenset[str]:
    return list_secure((*endpoints, *list_builtin_urls(name)))


def list_without_trusted(settings: Settings) -> Iterator[str]:
    """Yield a line for each upstream of which every endpoint counts as trusted, as none is.

    With endpoints at one server only, there is nobody else to ask, and nothing to tell.
    """
    for name, upstream in settings.upstreams.items():
        is_one = len({server_of(url) for url in upstream.endpoints}) == 1
        if upstream.names == "trusted" and not is_one and not list_trusted(name, upstream):
            key = format_key(("upstreams", name))
            yield (
                f"{key}: no endpoint is the registry's own, so the first that answers says what a"
                ' tag means; write names = "agree" so that two have to say the same, or'
                ' trusted = ["HOST"] with those that you trust, or names = "first" to confirm it'
            )
