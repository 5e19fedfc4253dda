"""Laws of proxies: only those of trusted networks are believed, and only as far as they reach."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.access.proxies import Origin, TrustedProxies, parse_forwarded, parse_x_forwarded

PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8"])
PEER = "10.0.0.1"


def find(peer: str | None, forwarded: str = "", *, x_for: str = "", **more: str) -> Origin:
    x_forwarded = parse_x_forwarded([x_for], [more.get("proto", "")], [more.get("host", "")])
    return PROXIES.find_origin(peer, parse_forwarded([forwarded]), x_forwarded)


@pytest.mark.parametrize(
    ("peer", "x_for", "client"),
    [
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.9", "192.0.2.1", "192.0.2.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.1, junk", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1:1234", "192.0.2.1"),
        ("fd00::1", "[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "fe80::1%", "fe80::1"),
        ("10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
        (None, "192.0.2.1", None),
    ],
)
def test_the_nearest_that_is_no_proxy_is_the_client(
    peer: str | None, x_for: str, client: str | None
) -> None:
    """What a client has written itself stands further left, and is not believed."""
    assert find(peer, x_for=x_for).address == client


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("for=192.0.2.1;proto=https;host=mirror.lan", Origin("192.0.2.1", "https", "mirror.lan")),
        ('For="[2001:db8::1]:4711";Proto=HTTP', Origin("2001:db8::1", "http")),
        ("for=1.1.1.1, for=192.0.2.1;proto=https", Origin("192.0.2.1", "https")),
        ("for=192.0.2.1;proto=https, for=10.0.0.2;proto=http", Origin("192.0.2.1", "https")),
        ("for=_hidden", Origin(PEER, is_hidden=True)),
        ("nonsense", Origin(PEER, is_hidden=True)),
        ("for=192.0.2.1, for=unknown, for=10.0.0.2", Origin("10.0.0.2", is_hidden=True)),
        ('for=192.0.2.1;proto=gopher;host="a/b"', Origin("192.0.2.1")),
        ('for=192.0.2.1;host="a\\"b"', Origin("192.0.2.1")),
    ],
)
def test_forwarded(forwarded: str, expected: Origin) -> None:
    """Scheme and host are those that the client has used with the outermost proxy."""
    assert find(PEER, forwarded) == expected


def test_scheme_and_host_of_the_other_headers() -> None:
    """Only together with an address."""
    assert find(PEER, x_for="192.0.2.1", proto="https", host="mirror.lan") == Origin(
        "192.0.2.1", "https", "mirror.lan"
    )
    assert find(PEER, proto="https", host="mirror.lan") == Origin(PEER)


def test_headers_that_disagree_are_not_believed() -> None:
    """A proxy that sets one of them passes on the other one as the client has written it.

    The client is hidden, and is not taken for the proxy.
    """
    assert find(PEER, "for=1.1.1.1", x_for="192.0.2.1") == Origin(PEER, is_hidden=True)
    assert find(PEER, "for=192.0.2.1", x_for="192.0.2.1").address == "192.0.2.1"


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_is_read(forwarded: str, x_for: str, proto: str, host: str) -> None:
    """Nothing fails, and nobody is believed who is no proxy."""
    find(PEER, forwarded, x_for=x_for, proto=proto, host=host)

    assert find("192.0.2.1", forwarded, x_for=x_for, proto=proto, host=host) == Origin("192.0.2.1")
