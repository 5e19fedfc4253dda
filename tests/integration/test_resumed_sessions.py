"""TLS sessions that are resumed (RFC 8446 section 2.2) prove no more than their certificate."""

import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.certificates import Authority, make_authority
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import PATIENCE, wait_until

PATH = "/v2/docker.io/team/app/manifests/1"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class Client:
    """A client with a certificate, which resumes its last session."""

    host: str
    context: ssl.SSLContext
    session: ssl.SSLSession | None = None
    has_resumed: bool = False

    def ask(self) -> int:
        """Ask on a new connection, and return the status.

        Raises:
            ssl.SSLError: the mirror has ended the handshake.
        """
        name, _, port = self.host.rpartition(":")
        with (
            socket.create_connection((name, int(port)), PATIENCE) as plain,
            self.context.wrap_socket(plain, server_hostname=name, session=self.session) as wire,
        ):
            wire.sendall(f"GET {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = wire.recv(65_536)
            self.session, self.has_resumed = wire.session, bool(wire.session_reused)
        return int(answer.split(b" ", 2)[1])

    def find_refusal(self) -> str:
        """Return why the mirror ends the handshake; empty if it does not."""
        try:
            self.ask()
        except ssl.SSLError as error:
            return str(error).lower()
        return ""


@dataclass(frozen=True)
class Site:
    """A mirror, the authority of its clients, and the file in which it finds it."""

    mirror: MirrorProcess
    authority: Authority
    stranger: Authority
    client_ca: Path

    def make_client(self, certificate: Path, version: ssl.TLSVersion) -> Client:
        """Return a client that has a session to resume, and has done so once."""
        context = self.authority.client_context(certificate)
        context.minimum_version = context.maximum_version = version
        client = Client(self.mirror.host, context)
        wait_until(lambda: client.ask() == 200, "the account counts")
        assert client.ask() == 200
        assert client.has_resumed
        return client


@pytest.fixture
def site(hub: FakeUpstream, tmp_path: Path) -> Iterator[Site]:
    hub.add_image("team/app", "1", [b"resumed"])
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
    authority, stranger = make_authority(tmp_path / "own"), make_authority(tmp_path / "other")
    client_ca = tmp_path / "clients.pem"
    shutil.copy(authority.root, client_ca)
    server = {"tls_cert": str(authority.certificate), "tls_key": str(authority.key)}
    rules = [{"who": ["alice"], "allow": ["docker.io/*"]}]
    settings = {
        "server": server | {"client_ca": str(client_ca)},
        "access": {"mode": "users", "rules": rules},
    }
    with MirrorProcess(tmp_path, {"docker.io": hub.url}, settings, workers=1) as mirror:
        assert not mirror.run("users", "add", "alice", "--no-password").returncode
        yield Site(mirror, authority, stranger, client_ca)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_removed_user_pulls_nothing_by_a_former_session(
    site: Site, version: ssl.TLSVersion
) -> None:
    """The session goes on, and its certificate is nobody's any more."""
    client = site.make_client(site.authority.sign_client("alice"), version)

    assert not site.mirror.run("users", "rm", "alice").returncode

    wait_until(lambda: client.ask() == 404, "the change counts")
    assert client.has_resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_ends_in_a_session_too(site: Site, version: ssl.TLSVersion) -> None:
    """OpenSSL verifies it only when a session begins."""
    ends = int(time.time()) + 3
    client = site.make_client(site.authority.sign_client_until("alice", ends), version)

    wait_until(lambda: time.time() > ends, "the certificate has ended")

    assert client.ask() == 404
    assert client.has_resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_ends_with_the_authority_of_its_certificate(
    site: Site, version: ssl.TLSVersion
) -> None:
    """The client has to prove again who it is, and the mirror knows its authority no more."""
    client = site.make_client(site.authority.sign_client("alice"), version)

    replaced = site.client_ca.with_suffix(".new")
    shutil.copy(site.stranger.root, replaced)
    replaced.rename(site.client_ca)

    wait_until(lambda: "unknown" in client.find_refusal(), "the change counts")
