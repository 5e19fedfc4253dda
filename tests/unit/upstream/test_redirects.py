"""Laws of redirects: which addresses an upstream may send us to."""

import pytest

from registry.errors import UpstreamFaulty
from registry.upstream.redirects import RedirectRules, follow, origin_of

PUBLIC = "https://registry.example/v2/a/blobs/b"
LAN = "http://10.0.0.1:5000/v2/a/blobs/b"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://h.example/v2/?a=b#c", "https://h.example"),
        ("http://h.example:8080", "http://h.example:8080"),
        ("https://user:secret@h.example/x", "https://h.example"),
        ("https://[2001:db8::1]:443/x", "https://[2001:db8::1]:443"),
    ],
)
def test_origin_has_no_secrets(url: str, origin: str) -> None:
    """An origin is scheme, host and port: no path, no query, no credentials."""
    assert origin == origin_of(url)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://cdn.example/x?sig=a%20b+c%2F", "https://cdn.example/x?sig=a%20b+c%2F"),
        ("/other?x=%2F", "https://registry.example/other?x=%2F"),
        ("c?x=1", "https://registry.example/v2/a/blobs/c?x=1"),
        ("?x=http://y", "https://registry.example/v2/a/blobs/b?x=http://y"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("/x?to=https://else.example/", "https://registry.example/x?to=https://else.example/"),
        ("/proxy/https://h.example/x", "https://registry.example/proxy/https://h.example/x"),
        ("/http://cdn.example/x?y=1", "https://registry.example/http://cdn.example/x?y=1"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("HTTPS://cdn.example/x", "HTTPS://cdn.example/x"),
    ],
)
def test_location_is_followed(location: str, url: str) -> None:
    """Absolute, relative and scheme-less locations are resolved as in RFC 3986."""
    assert (url,) == follow(PUBLIC, location).urls


@pytest.mark.parametrize(
    "location",
    [
        *("", " ", "https://cdn.example/a b", "https://cdn.example/\r\nX: y", "https://cdn/ä"),
        *("ftp://cdn.example/x", "file:///etc/passwd", "javascript:alert(1)", "https:///x"),
        *("https://user@cdn.example/x", "https://a:b@cdn.example/", "https://good\\@evil/x"),
        *("https://[", "https://[::1", "//[x]/", "https://h:0/", "https://cdn.example:port/"),
        "https://cdn.example:99999/",
        *("https://" + "a" * 64 + ".example/", "https://a..example/", "https://xn--0.example/x"),
        "https://" + ("a" * 60 + ".") * 5 + "example/x",
    ],
)
def test_other_locations_are_refused(location: str) -> None:
    """A location that is no plain web address is a faulty answer of the upstream."""
    with pytest.raises(UpstreamFaulty):
        follow(PUBLIC, location)


def test_https_never_becomes_http() -> None:
    """A redirect from https to http is refused."""
    with pytest.raises(UpstreamFaulty, match="from https to http://cdn"):
        follow(PUBLIC, "http://cdn.example/x")


def test_http_may_become_https() -> None:
    """A redirect from http to https is followed."""
    assert follow("http://h.example/", "https://cdn.example/x").urls == ("https://cdn.example/x",)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "cdn.localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9"),
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[::]"),
        *("127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0xa9fea9fe"),
    ],
)
def test_public_host_never_leads_inside(host: str) -> None:
    """A public registry cannot send us to an address of our own network, however it is spelt."""
    with pytest.raises(UpstreamFaulty, match=r"private|not a web address"):
        follow(PUBLIC, f"https://{host}/latest/meta-data")


def test_private_host_may_lead_inside() -> None:
    """A registry on the LAN may have its storage there too."""
    assert follow(LAN, "http://10.0.0.2:9000/x").urls == ("http://10.0.0.2:9000/x",)


def test_host_without_tls_is_not_inside() -> None:
    """A public registry without TLS cannot send us to an address of our own network either."""
    with pytest.raises(UpstreamFaulty, match="private"):
        follow("http://registry.example/", "http://10.0.0.2:9000/x")


PRIVATE = RedirectRules("registry.example", may_be_private=True)
PLAIN = RedirectRules("registry.example", may_be_plain=True)


@pytest.mark.parametrize(
    "host", ["10.1.2.3", "192.168.1.1", "127.0.0.1", "localhost", "[fd00::1]", "100.64.0.1"]
)
def test_setting_allows_private_redirects(host: str) -> None:
    """`allow_private_redirects` lets the storage of a public registry be in our network."""
    assert follow(PUBLIC, f"https://{host}:9000/x", PRIVATE).urls == (f"https://{host}:9000/x",)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.1.1]"])
def test_link_local_addresses_stay_refused(host: str) -> None:
    """No setting allows link-local addresses, where clouds have the credentials of a machine."""
    with pytest.raises(UpstreamFaulty, match="private"):
        follow(PUBLIC, f"https://{host}/latest/meta-data", PRIVATE)


@pytest.mark.parametrize(
    ("location", "setting"),
    [
        ("https://10.0.0.5:9000/x", "allow_private_redirects"),
        ("https://localhost/x", "allow_private_redirects"),
        ("http://minio.example:9000/x", "allow_http_redirects"),
        ("http://cdn.example/x", "allow_http_redirects"),
    ],
)
def test_refusal_names_the_setting(location: str, setting: str) -> None:
    """The error says which setting of which upstream allows the redirect."""
    words = rf'set {setting} = true in \[upstreams."registry.example"\]'
    with pytest.raises(UpstreamFaulty, match=words):
        follow(PUBLIC, location, RedirectRules("registry.example"))


@pytest.mark.parametrize(
    ("location", "secure"),
    [
        ("http://registry.example/x?a=%2F", "https://registry.example:5443/x?a=%2F"),
        ("http://registry.example:80/x", "https://registry.example:5443/x"),
        ("http://registry.example:9000/x", "https://registry.example:9000/x"),
    ],
)
def test_https_is_tried_first_on_the_same_host(location: str, secure: str) -> None:
    """Where TLS is ended in front of a registry, its own http URLs mean the https ones."""
    current = "https://registry.example:5443/v2/a/blobs/b"

    assert follow(current, location).urls == (secure,)
    assert "allow_http_redirects" in follow(current, location).why_not
    assert follow(current, location, PLAIN).urls == (secure, location)


def test_setting_allows_http_on_another_host() -> None:
    """`allow_http_redirects` lets the storage of an https registry have no TLS."""
    assert follow(PUBLIC, "http://minio.example:9000/x", PLAIN).urls == (
        "http://minio.example:9000/x",
    )


def test_no_setting_allows_both() -> None:
    """A private address without TLS needs both settings."""
    for rules in (PRIVATE, PLAIN):
        with pytest.raises(UpstreamFaulty):
            follow(PUBLIC, "http://10.0.0.5:9000/x", rules)
    both = RedirectRules("registry.example", may_be_private=True, may_be_plain=True)
    assert follow(PUBLIC, "http://10.0.0.5:9000/x", both).urls == ("http://10.0.0.5:9000/x",)
