"""Reading what the processes of a mirror have measured of the endpoints of upstreams."""

from collections.abc import Iterable

from registry.upstream.performance import Performance
from registry.wiring.content import ContentServices


def read_known(
    content: ContentServices, upstreams: Iterable[str]
) -> dict[tuple[str, str], Performance]:
    """Return what is known of the endpoints of each upstream, by upstream and URL.

    Raises:
        StoreError: the catalog refused.
    """
    return {
        (upstream, url): Performance(*row)
        for upstream in upstreams
        for url, row in content.endpoints.read(upstream).items()
    }
