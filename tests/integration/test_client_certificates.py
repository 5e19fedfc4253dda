"""Clients that prove by a certificate who they are, beside others, through a real mirror."""

import base64
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.fakes.certificates import Authority, make_authority
from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import PATIENCE, Answer, fetch, wait_until

RULES = [
    {"who": ["alice", "erin", "ci"], "allow": ["docker.io/team/*"]},
    {"who": ["bob"], "allow": ["docker.io/other/*"]},
]
PATH = "/v2/docker.io/team/app/manifests/1"
SOON = 1.0  # seconds after which a change counts


@dataclass(frozen=True)
class Site:
    """A mirror, an authority whose certificates it accepts, and another one."""

    mirror: MirrorProcess
    authority: Authority
    stranger: Authority
    secret: str
    layer: str

    def trust(self, name: str = "") -> ssl.SSLContext:
        """Return the TLS of a client with the certificate of this name, or without one."""
        if not name:
            return self.authority.client_context()
        return self.authority.client_context(self.authority.sign_client(name))

    def connect(self, name: str = "") -> HTTPSConnection:
        """Return a connection of such a client."""
        return HTTPSConnection(self.mirror.host, timeout=PATIENCE, context=self.trust(name))

    def open_wire(self, name: str) -> ssl.SSLSocket:
        """Return the open socket of such a client."""
        connection = self.connect(name)
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        return connection.sock

    def ask(self, name: str, path: str = PATH, **headers: str) -> Answer:
        """Ask once as such a client."""
        return fetch(f"https://{self.mirror.host}{path}", headers, tls=self.trust(name))


def get_status(connection: HTTPSConnection, path: str = PATH) -> int:
    """Ask once more on a connection, always by the same bytes."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.fixture(scope="module")
def site(shared_hub: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = make_authority(folder)
    stranger = make_authority(tmp_path_factory.mktemp("stranger"))
    image = shared_hub.add_image("team/app", "1", [b"certified"])
    with MirrorProcess(
        folder,
        {"docker.io": shared_hub.url},
        {
            "server": {**write_server(authority), "trusted_proxies": ["127.0.0.1"]},
            "access": {"mode": "users", "login_hosts": ["login.lan"], "rules": RULES},
        },
        workers=1,  # so that a repeated answer meets clients of all kinds
    ) as mirror:
        for name in ("alice", "bob", "erin"):
            assert not mirror.run("users", "add", name, "--no-password").returncode
        made = mirror.run("tokens", "add", "ci", "--json")
        secret = made.stdout.split('"token": "')[1].split('"')[0]
        layer = f"/v2/docker.io/team/app/blobs/{image.layers[0]}"
        site = Site(mirror, authority, stranger, secret, layer)
        wait_until(lambda: site.ask("alice").status == 200, "accounts")
        yield site


def write_server(authority: Authority) -> dict[str, str]:
    """Return the settings of a server that accepts the certificates of an authority."""
    names = ("tls_cert", "tls_key", "client_ca")
    files = (authority.certificate, authority.key, authority.root)
    return dict(zip(names, map(str, files), strict=True))


@pytest.mark.parametrize(
    ("name", "status"),
    [("alice", 200), ("bob", 404), ("mallory", 404), ("", 404), ("ALICE", 404), ("ci", 404)],
)
def test_a_certificate_says_who_asks(site: Site, name: str, status: int) -> None:
    """The rules of its user count; a name that is no user's, or a token's, is nobody."""
    assert site.ask(name).status == status
    assert site.ask(name, site.layer).status == status


def test_the_certificate_of_a_proxy_proves_nothing_about_its_clients(site: Site) -> None:
    """Whatever header names them, also for answers that are repeated; the log says so once.

    They say themselves who they are, and the proxy itself is still its user.
    """
    clients = [{"X-Forwarded-For": "10.0.0.7"}, {"Forwarded": "for=10.0.0.8"}] * 2
    login = {"Authorization": f"Bearer {site.secret}"}

    assert [site.ask("alice", **each).status for each in clients] == [404] * 4
    assert [site.ask("alice", **each, **login).status for each in clients] == [200] * 4
    assert [site.ask("alice", **each).status for each in clients] == [404] * 4
    assert site.ask("alice").status == 200
    (line,) = site.mirror.events("certificate of a proxy proves nothing")
    assert (line["certificate"], line["client"]) == ("alice", "127.0.0.1")


def test_who_is_no_proxy_keeps_its_certificate(site: Site) -> None:
    """What it says of other clients is not believed."""
    elsewhere = ("127.0.0.2", 0)
    connection = HTTPSConnection(
        site.mirror.host, timeout=PATIENCE, context=site.trust("alice"), source_address=elsewhere
    )
    for _ in range(3):
        connection.request("GET", PATH, headers={"X-Forwarded-For": "10.0.0.7"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


def test_the_log_says_who(site: Site) -> None:
    """As for other clients."""
    site.ask("alice", f"{PATH}?ns=docker.io")

    (line,) = await_truth(
        lambda: [each for each in site.mirror.events("request") if each.get("ns")]
    )

    assert (line["user"], line["rule"]) == ("alice", "access.rules[1]")


def test_other_proofs_count_before_a_certificate(site: Site) -> None:
    """A wrong one is refused, too: what a client says on purpose is meant."""
    token, wrong = (
        {"Authorization": "Basic " + base64.b64encode(f"x:{each}".encode()).decode()}
        for each in (site.secret, "wrong password")
    )

    assert site.ask("bob", **token).status == 200
    assert site.ask("bob", f"/t/{site.secret}{PATH}").status == 200
    assert site.ask("alice", **wrong).status == 403
    assert site.ask("", **token).status == 200


def test_a_certificate_of_another_authority_ends_the_handshake(site: Site) -> None:
    """The client is told why by an alert, and the log says it to the operator."""
    context = site.authority.client_context(site.stranger.sign_client("alice"))

    with pytest.raises(ssl.SSLError, match=r"(?i)unknown[ _]ca"):
        fetch(f"https://{site.mirror.host}{PATH}", tls=context)

    (line,) = await_truth(lambda: site.mirror.events("client certificate refused"))
    assert line["client"] == "127.0.0.1"
    assert "issuer" in line["why"]


def test_an_answer_is_repeated_to_nobody_else(site: Site) -> None:
    """On connections that stay, all ask by the same bytes, one after the other."""
    expected = {"alice": 200, "": 404, "bob": 404}
    connections = {name: site.connect(name) for name in expected}
    for name in ("alice", "", "alice", "alice", "bob", "alice", "", "bob", "", "alice") * 5:
        assert get_status(connections[name]) == expected[name], name
    for connection in connections.values():
        connection.close()


@pytest.mark.parametrize("count", [1, 6])
def test_requests_at_once_are_answered_to_their_own_client(site: Site, count: int) -> None:
    """They are all there before the first is answered; six in one write are pipelined."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    expected = {"alice": 200, "": 404, "bob": 404}
    wires = {name: site.open_wire(name) for name in expected}
    for _ in range(20):
        for wire in wires.values():
            wire.sendall(request * count)
        for name, wire in wires.items():
            assert read_statuses(wire, count) == [expected[name]] * count, name
    for wire in wires.values():
        wire.close()


def read_statuses(wire: ssl.SSLSocket, count: int) -> list[int]:
    """Return the statuses of the next answers, of which nothing is left unread."""
    received, statuses = b"", []
    while len(statuses) < count:
        head, end, body = received.partition(b"\r\n\r\n")
        size = int((re.search(rb"(?i)content-length: (\d+)", head) or [b"", b"0"])[1])
        if end and len(body) >= size:
            statuses.append(int(head.split(b" ")[1]))
            received = body[size:]
        else:
            received += wire.recv(65536)
    assert received == b""
    return statuses


def test_a_token_is_given_to_a_certificate(site: Site) -> None:
    """The token of `/token` stands for the same user, without the certificate."""
    host = {"Host": "login.lan"}
    scope = "/token?scope=repository:docker.io/team/app:pull"
    tokens = {name: site.ask(name, scope, **host).json()["token"] for name in ("alice", "bob", "")}

    found = {
        name: site.ask("", Authorization=f"Bearer {token}").status for name, token in tokens.items()
    }

    assert found == {"alice": 200, "bob": 404, "": 404}


def test_a_login_host_does_not_challenge_a_certificate(site: Site) -> None:
    """But it challenges who has none, or one that identifies nobody."""
    found = {name: site.ask(name, "/v2/", Host="login.lan").status for name in ("alice", "x", "")}
    assert found == {"alice": 200, "x": 401, "": 401}


def test_a_removed_user_pulls_nothing_more(site: Site) -> None:
    """Within a second, on a connection that stays, although the answer was repeated before."""
    connection = site.connect("erin")
    assert [get_status(connection) for _ in range(3)] == [200] * 3
    assert not site.mirror.run("users", "rm", "erin").returncode
    removed = time.monotonic()

    wait_until(lambda: get_status(connection) == 404, "the user is not known any more")

    assert time.monotonic() - removed < SOON
    assert [get_status(connection) for _ in range(3)] == [404] * 3
    connection.close()


def test_a_certificate_ends_on_a_connection_that_stays(site: Site) -> None:
    """It was valid at the handshake; after its end its requests are those of nobody."""
    ends = int(time.time()) + 3
    certificate = site.authority.sign_client_until("alice", ends)
    context = site.authority.client_context(certificate)
    connection = HTTPSConnection(site.mirror.host, timeout=PATIENCE, context=context)
    assert [get_status(connection) for _ in range(3)] == [200] * 3

    wait_until(lambda: get_status(connection) == 404, "the certificate ends")

    assert ends <= time.time() < ends + SOON
    assert get_status(connection, site.layer) == 404
    assert site.ask("alice").status == 200
    connection.close()


def test_in_mode_open_nobody_is_asked(shared_hub: FakeUpstream, tmp_path: Path) -> None:
    """A certificate of any authority is ignored, and `config check` says so."""
    (tmp_path / "stranger").mkdir()
    authority, stranger = make_authority(tmp_path), make_authority(tmp_path / "stranger")
    context = authority.client_context(stranger.sign_client("alice"))
    settings = {"server": write_server(authority)}

    with MirrorProcess(tmp_path, {"docker.io": shared_hub.url}, settings, workers=1) as mirror:
        assert fetch(f"https://{mirror.host}/v2/", tls=context).status == 200
        checked = mirror.run("config", "check")

    assert "note: server.client_ca: clients are not asked for certificates" in checked.stdout
    assert checked.returncode == 0
