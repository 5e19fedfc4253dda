"""Laws of the servers that may get the password of an upstream."""

import pytest

from registry.settings.password_servers import find_password_servers, list_gaining
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


@pytest.mark.parametrize(
    ("name", "endpoints", "url", "may_get_it"),
    [
        ("docker.io", [HUB], f"{HUB}/v2/", True),
        ("docker.io", [HUB], "http://registry-1.docker.io/v2/", False),
        ("docker.io", [HUB], "http://index.docker.io/v2/", False),
        ("docker.io", [HUB], "http://auth.docker.io/token", False),
        ("docker.io", ["http://registry-1.docker.io"], "http://registry-1.docker.io", False),
        (
            "docker.io",
            ["http://registry-1.docker.io:443"],
            "http://registry-1.docker.io:443",
            False,
        ),
        ("lan.example", ["https://lan.example", MINE], "http://lan.example", False),
        ("lan.example", ["http://lan.example", MINE], "http://lan.example", True),
        ("lan.example", ["https://lan.example:443", MINE], "http://lan.example", False),
        ("lan:5000", ["https://lan:5000", MINE], "http://lan:5000", False),
        ("lan:5000", ["http://lan:5000", MINE], "http://lan:5000", True),
        ("lan:5000", ["http://lan:5000", "https://lan:443"], "http://lan:5000", True),
    ],
)
def test_a_server_with_tls_gets_no_password_without_it(
    name: str, endpoints: list[str], url: str, *, may_get_it: bool
) -> None:
    """Plain http to such a server may be from a list of somebody, and everybody can read it."""
    settings = UpstreamSettings(
        endpoints=tuple(endpoints),
        aliases=("registry-1.docker.io", "index.docker.io") if name == "docker.io" else (),
        auth_realms=("auth.docker.io",),
    )
    assert find_password_servers(name, settings).have(url) == may_get_it
