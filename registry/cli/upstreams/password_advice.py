"""What `upstreams test` says if its list would send the password to another endpoint. Pure."""

from collections.abc import Iterator

from registry.reports.upstreams import UpstreamTest
from registry.settings.values import Refusal

_CURE = "keep a second endpoint in the list, or delete username and password_file"


def warn_of_password(test: UpstreamTest) -> Iterator[str]:
    """Yield what to know before the advised list is used; nothing if no password goes elsewhere."""
    if test.gains_password:
        yield ""
        yield f"do not use this list as it is: {_explain(test)}; {_CURE}"


def check_password(test: UpstreamTest) -> None:
    """Raise Refusal if the password would go to an endpoint that does not get it now."""
    if test.gains_password:
        raise Refusal(_explain(test), _CURE)


def _explain(test: UpstreamTest) -> str:
    return f"the password of {test.upstream} would be sent to {', '.join(test.gains_password)}"
