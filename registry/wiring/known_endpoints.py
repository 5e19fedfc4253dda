"""Reading what the processes of a mirror have measured of the endpoints of upstreams."""

from collections.abc import Mapping, Sequence

from registry.upstream.performance import Performance
from registry.wiring.content import ContentServices


def read_known(
    content: ContentServices,  # noqa: ARG001 - this version records nothing
    endpoints: Mapping[str, Sequence[str]],  # noqa: ARG001
) -> dict[tuple[str, str], Performance]:
    """Return what is known of the endpoints of each upstream, by upstream and URL."""
    return {}
