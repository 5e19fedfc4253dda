"""Laws of the servers that may get the password of an upstream."""

import pytest

from registry.settings.password_servers import list_gaining
from registry.settings.upstreams import UpstreamSettings

HUB = "https://registry-1.docker.io"
MINE, FAST, SLOW = "https://mine.example", "https://fast.example", "https://slow.example"


@pytest.mark.parametrize(
    ("before", "after", "gaining"),
    [
        # The only endpoint gets the password, whatever it is.
        ([MINE], [FAST], [FAST]),
        ([MINE, SLOW], [FAST], [FAST]),
        ([MINE, SLOW], [MINE], [MINE]),
        # None of several does, unless it is the registry itself.
        ([MINE], [FAST, MINE], []),
        ([MINE], [FAST, SLOW], []),
        ([MINE], [MINE], []),
        ([MINE], [HUB], []),
        ([MINE, SLOW], [FAST, HUB], []),
        ([f"{MINE}/a"], [f"{MINE}/b"], []),
    ],
)
def test_who_gains_the_password(before: list[str], after: list[str], gaining: list[str]) -> None:
    """The endpoints of a new list that may get the password, and may not get it before."""
    hub = {"aliases": ("registry-1.docker.io",), "endpoints": tuple(before)}
    settings = UpstreamSettings(username="ann", **hub)

    assert list_gaining("docker.io", settings, after) == gaining
    assert list_gaining("docker.io", UpstreamSettings(**hub), after) == []
