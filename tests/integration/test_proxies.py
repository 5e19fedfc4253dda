"""Proxies: whatever goes to an upstream goes through the one that is configured for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.certificates import make_authority
from tests.fakes.proxies import HttpProxy, Relay, Socks5Proxy, TlsFront
from tests.fakes.upstream import FakeUpstream
from tests.harness.planted import PROXY_PASSWORD
from tests.integration.wire import fetch

LAYER = b"carried" * 30_000


@pytest.fixture(params=["http", "socks5", "socks5h"])
def proxy(request: pytest.FixtureRequest) -> Iterator[tuple[Relay, str]]:
    """A running proxy, and the URL it is configured with."""
    with HttpProxy() if request.param == "http" else Socks5Proxy() as running:
        yield running, f"{request.param}://{running.host}"


def host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def test_everything_to_a_plain_upstream_goes_through_the_proxy(
    make_mirror: MirrorMaker, hub: FakeUpstream, proxy: tuple[Relay, str]
) -> None:
    """Token service, registry and content host see the proxy's connections, and no others."""
    relay, url = proxy
    image = hub.add_image("team/carried", "1", [LAYER])
    mirror = make_mirror(upstreams={"docker.io": {"endpoints": [hub.url], "proxy": url}}, workers=1)
    base = f"{mirror.url}/v2/team/carried"

    manifest = fetch(f"{base}/manifests/1")
    blob = fetch(f"{base}/blobs/{image.layers[0]}")
    tags = fetch(f"{base}/tags/list")

    assert (manifest.status, manifest.body) == (200, image.manifest)
    assert (blob.status, blob.body) == (200, LAYER)
    assert tags.json()["tags"] == ["1"]
    assert relay.carried == {host_of(each) for each in (hub.url, hub.cdn_url, hub.realm)}
    assert [entry for entry in hub.journal if entry.port not in relay.ports] == []


def test_everything_to_a_tls_upstream_goes_through_the_proxy(
    make_mirror: MirrorMaker, proxy: tuple[Relay, str], tmp_path: Any
) -> None:
    """TLS is spoken with the upstream itself, through a tunnel."""
    relay, url = proxy
    authority = make_authority(tmp_path)
    with (
        FakeUpstream(auth="none") as hub,
        TlsFront(authority.server_context(), int(hub.url.rpartition(":")[2])) as front,
    ):
        hub.redirect_blobs = False
        image = hub.add_image("team/carried", "1", [LAYER])
        table = {"endpoints": [front.url], "proxy": url, "ca_file": str(authority.root)}
        mirror = make_mirror(upstreams={"docker.io": table}, workers=1)
        base = f"{mirror.url}/v2/team/carried"

        assert fetch(f"{base}/manifests/1").body == image.manifest
        assert fetch(f"{base}/blobs/{image.layers[0]}").body == LAYER
        assert relay.carried == {front.host}


def test_one_upstreams_proxy_is_nobody_elses(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Other upstreams are reached directly."""
    image = hub.add_image("team/direct", "1", [b"direct"])
    with HttpProxy() as proxy:
        upstreams = {
            "docker.io": hub.url,
            "proxied.test": {"endpoints": [hub.url], "proxy": proxy.url},
        }
        mirror = make_mirror(upstreams=upstreams, workers=1)

        assert fetch(f"{mirror.url}/v2/team/direct/manifests/1").body == image.manifest
        assert proxy.carried == set()
        assert fetch(f"{mirror.url}/v2/proxied.test/team/direct/manifests/1").status == 200
        assert proxy.carried != set()


def test_the_proxys_login_is_for_the_proxy(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A login in the proxy's URL is sent to it, and not further; the log does not show it."""
    image = hub.add_image("team/login", "1", [b"login"])
    with HttpProxy() as proxy:
        url = proxy.url.replace("http://", f"http://bob:{PROXY_PASSWORD}@")
        upstreams = {"docker.io": {"endpoints": [hub.url], "proxy": url}}
        mirror = make_mirror(upstreams=upstreams, workers=1)

        assert fetch(f"{mirror.url}/v2/team/login/manifests/1").body == image.manifest
        assert len(proxy.logins) > 0
        assert not [entry for entry in hub.journal if "Proxy-Authorization" in entry.headers]


def test_a_dead_proxy_is_a_dead_upstream(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Nothing goes around the proxy when it does not answer."""
    hub.add_image("team/dead", "1", [b"dead"])
    with HttpProxy() as gone:
        url = gone.url
    mirror = make_mirror(upstreams={"docker.io": {"endpoints": [hub.url], "proxy": url}}, workers=1)

    assert fetch(f"{mirror.url}/v2/team/dead/manifests/1").status == 503
    assert len(hub.journal) == 0, hub.journal
