"""Laws of proxies: when a client asks the mirror through one, by the rules of Go."""

import pytest

from registry.clients.diagnosis.proxies import ProxySettings, find_proxy, judge_proxy, read_proxies
from registry.clients.mirror import parse_mirror

PROXY = "http://proxy.lan:3128"


@pytest.mark.parametrize(
    ("mirror", "no_proxy", "is_used"),
    [
        ("http://mirror.lan:5000", "", True),
        ("http://mirror.lan:5000", "localhost,127.0.0.1", True),
        ("http://mirror.lan:5000", "mirror.lan", False),
        ("http://mirror.lan:5000", "lan", False),
        ("http://mirror.lan:5000", ".lan", False),
        ("http://mirror.lan:5000", "*.lan", False),
        ("http://mirror.lan:5000", ".mirror.lan", True),
        ("http://mirror.lan:5000", "an", True),
        ("http://mirror.lan:5000", "*", False),
        ("http://mirror.lan:5000", "MIRROR.LAN:5000", False),
        ("http://mirror.lan:5000", "mirror.lan:443", True),
        ("http://10.0.0.5:5000", "10.0.0.0/8", False),
        ("http://10.0.0.5:5000", "192.168.0.0/16", True),
        ("http://10.0.0.5:5000", "10.0.0.5", False),
        ("http://10.0.0.5:5000", "0.0.5", True),
        ("http://[fd00::5]:5000", "fd00::/8", False),
        ("http://127.0.0.1:5000", "", False),
        ("http://localhost:5000", "", False),
        ("https://mirror.lan:5000", "", False),  # there is no proxy for https
    ],
)
def test_when_a_proxy_is_used(mirror: str, no_proxy: str, is_used: bool) -> None:
    """Never for this machine itself, and not for what NO_PROXY names."""
    proxies = ProxySettings(http_proxy=PROXY, no_proxy=no_proxy)
    assert bool(find_proxy(parse_mirror(mirror, []), proxies)) == is_used


def test_capitals_count_first() -> None:
    """As in Go."""
    environ = {"http_proxy": "a", "HTTP_PROXY": "b", "https_proxy": "c", "NO_PROXY": "d"}
    assert read_proxies(environ) == ProxySettings("b", "c", "d")


@pytest.mark.parametrize("proxy", ["http://me:s3cret@proxy.lan:3128", "me:s3cret@proxy.lan:3128"])
def test_no_password_is_printed(proxy: str) -> None:
    """Neither in the finding, nor by the object."""
    proxies = ProxySettings(proxy, proxy)
    causes = judge_proxy("docker", parse_mirror("http://m.lan:5000", []), proxies, "x", "{host}")
    assert "proxy.lan" in causes[0].sentence
    assert "s3cret" not in f"{causes} {proxies}"
