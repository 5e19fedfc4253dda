"""Laws of the addresses that the mirror connects to when an upstream has named the host."""

import socket
import ssl
from typing import Any

import httpx
import pytest

from registry.settings.upstreams import UpstreamSettings
from registry.upstream.addresses import AddressGuard, AddressRefused, Reach, find_reach
from registry.upstream.client import open_client, send, write_request
from registry.upstream.failures import AddressForbidden, NoConnection
from registry.upstream.httpx_transport import DocumentTransport
from registry.upstream.redirects import RedirectRules
from tests.fakes.upstream import FakeUpstream


@pytest.mark.parametrize(
    ("host", "reach"),
    [
        *((host, Reach.PUBLIC) for host in ("8.8.8.8", "2606:4700::1", "registry.example")),
        *((host, Reach.LOCAL) for host in ("10.0.0.1", "127.0.0.1", "::1", "fd00::1", "0.0.0.0")),
        *((host, Reach.LOCAL) for host in ("registry", "r.lan", "localhost", "100.64.0.1")),
        *((host, Reach.LOCAL) for host in ("::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2130706433")),
        *((host, Reach.LOCAL) for host in ("2002:a00:1::", "198.18.0.1", "127.1")),
        *((host, Reach.LINK_LOCAL) for host in ("169.254.169.254", "fe80::1", "fe80::1%eth0")),
        *((host, Reach.LINK_LOCAL) for host in ("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe")),
        ("64:ff9b::8.8.8.8", Reach.PUBLIC),
    ],
)
def test_reach_of_a_host(host: str, reach: Reach) -> None:
    """An address is judged however it is written, also inside another one."""
    assert find_reach(host) is reach


@pytest.mark.parametrize(
    ("url", "peer", "may_be_private", "reach"),
    [
        ("https://registry.example/", "8.8.8.8", False, Reach.PUBLIC),
        ("http://registry.example/", "8.8.8.8", False, Reach.PUBLIC),
        ("https://registry.lan/", "8.8.8.8", False, Reach.PUBLIC),
        ("https://registry.example/", "10.0.0.1", False, Reach.LOCAL),
        ("https://registry.example/", "8.8.8.8", True, Reach.LOCAL),
        ("https://registry.example/", "169.254.1.1", False, Reach.LINK_LOCAL),
        ("https://registry.lan/", "", False, Reach.LOCAL),
        ("http://registry.example/", "", False, Reach.PUBLIC),
    ],
)
def test_where_a_server_may_send_us(
    url: str, peer: str, *, may_be_private: bool, reach: Reach
) -> None:
    """The address that answered decides; behind a proxy it is not known, and the name decides."""
    rules = RedirectRules("registry.example", may_be_private=may_be_private)
    assert rules.find_reach(url, peer) is reach


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_name_leads_nowhere_inside(hub: FakeUpstream, *, is_bulk: bool) -> None:
    """A name with a private address is refused before anything is sent, also if it is known."""
    url = hub.url.replace("127.0.0.1", "localhost")
    async with open_client("docker.io", UpstreamSettings(endpoints=(hub.url,))) as client:
        for reach in (None, Reach.LOCAL):
            request = write_request(client, "GET", f"{url}/v2/", {}, is_bulk=is_bulk, reach=reach)
            await (await send(client, request, url)).aread()
        hub.journal.clear()
        request = write_request(
            client, "GET", f"{url}/v2/", {}, is_bulk=is_bulk, reach=Reach.PUBLIC
        )
        with pytest.raises(AddressForbidden, match=r"leads to \S+, a private address"):
            await send(client, request, url)
    assert len(hub.journal) == 0


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_own_port_is_refused(hub: FakeUpstream, *, is_bulk: bool) -> None:
    """An upstream cannot send the mirror to itself; the operator may, and gets another error."""
    own = frozenset({int(hub.url.rpartition(":")[2])})
    settings = UpstreamSettings(endpoints=(hub.url,))
    async with open_client("docker.io", settings, own_ports=own) as client:
        request = write_request(
            client, "GET", f"{hub.url}/v2/", {}, is_bulk=is_bulk, reach=Reach.LOCAL
        )
        with pytest.raises(AddressForbidden, match="this mirror itself"):
            await send(client, request, hub.url)
        request = write_request(client, "GET", f"{hub.url}/v2/", {}, is_bulk=is_bulk)
        await (await send(client, request, hub.url)).aread()


def test_own_addresses_are_all_of_this_machine() -> None:
    """The port on another machine is not ours."""
    guard = AddressGuard(Reach.LOCAL, frozenset({5000}))
    guard.check("192.0.2.1", 5000)
    guard.check("127.0.0.1", 5001)
    for host in ("127.0.0.1", "0.0.0.0", socket.gethostbyname("localhost")):
        with pytest.raises(AddressRefused):
            guard.check(host, 5000)


class _ResetStream:
    """A connection that its server has reset before anything was asked of it."""

    is_closed = False

    def get_extra_info(self, _: str) -> None:
        return None

    async def aclose(self) -> None:
        self.is_closed = True


async def test_a_reset_right_after_the_connection_is_no_connection() -> None:
    """The address of such a server is not known, so the next endpoint is asked."""
    stream = _ResetStream()

    class Network:
        async def connect_tcp(self, *_: Any, **__: Any) -> _ResetStream:
            return stream

    guard = AddressGuard(Reach.LINK_LOCAL)
    transport = DocumentTransport(ssl.create_default_context(), "", guard)
    pool: Any = transport._pool
    pool._network_backend._inner = Network()
    async with httpx.AsyncClient(transport=transport) as client:
        request = client.build_request("GET", "http://registry.example/v2/")
        with pytest.raises(NoConnection, match="has closed the connection"):
            await send(client, request, "http://registry.example")
    assert stream.is_closed
