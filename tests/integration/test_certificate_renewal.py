"""A renewed certificate is used while requests go on, by every worker, without a restart."""

import os
import shutil
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from threading import Event

import pytest

from tests.fakes.certificates import Authority, make_authority
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import PATIENCE, wait_until

WORKERS = 2
CLIENTS = 8
READ_AGAIN = "certificate read again"
NOT_READ = "certificate not read: the former one stays"
REPLACED = "a process died and is replaced"
SOON = 1.0  # seconds after which a change counts everywhere


@dataclass(frozen=True)
class Site:
    """A mirror whose certificate is a copy, so that the test can replace it."""

    mirror: MirrorProcess
    authority: Authority
    folder: Path
    path: str

    def connect(self) -> HTTPSConnection:
        """Return a connection that is open."""
        context = self.authority.client_context()
        connection = HTTPSConnection(self.mirror.host, timeout=PATIENCE, context=context)
        connection.connect()
        return connection

    def show(self) -> str:
        """Return the name in the certificate that a new connection gets."""
        connection = self.connect()
        name = find_name(connection)
        connection.close()
        return name

    def pull(self, connection: HTTPSConnection) -> bytes:
        """Return a manifest."""
        connection.request("GET", self.path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()

    def replace(self, certificate: Path, *suffixes: str) -> None:
        """Replace the certificate (`.pem`), its key (`.key`), or both."""
        for suffix in suffixes:
            fresh = self.folder / f"fresh{suffix}"
            shutil.copyfile(certificate.with_suffix(suffix), fresh)
            fresh.replace(self.folder / f"used{suffix}")

    def sign(self, name: str) -> Path:
        """Return another certificate of the same authority."""
        certificate = self.folder / f"{name}.pem"
        self.authority.sign_server(certificate)
        return certificate


def find_name(connection: HTTPSConnection) -> str:
    """Return the common name in the certificate of the mirror."""
    assert isinstance(connection.sock, ssl.SSLSocket)
    subject = (connection.sock.getpeercert() or {})["subject"]
    return str(dict(part[0] for part in subject)["commonName"])


@pytest.fixture
def site(shared_hub: FakeUpstream, tmp_path: Path) -> Iterator[Site]:
    authority = make_authority(tmp_path)
    server = {"tls_cert": str(tmp_path / "used.pem"), "tls_key": str(tmp_path / "used.key")}
    mirror = MirrorProcess(
        tmp_path, {"docker.io": shared_hub.url}, {"server": server}, workers=WORKERS
    )
    shared_hub.add_image("team/renewed", "1", [b"renewed"])
    site = Site(mirror, authority, tmp_path, "/v2/team/renewed/manifests/1")
    site.replace(authority.certificate, ".pem", ".key")
    with mirror:
        yield site


def pull_until(site: Site, end: Event) -> list[tuple[float, str]]:
    """Pull on new connections; return when each of them began, and the name it was shown."""
    seen = []
    while not end.is_set():
        began = time.monotonic()
        connection = site.connect()
        seen.append((began, find_name(connection)))
        site.pull(connection)
        connection.close()
    return seen


def pull_on(site: Site, connection: HTTPSConnection, end: Event) -> int:
    """Pull on one connection; return how often."""
    pulls = 0
    while not end.is_set():
        site.pull(connection)
        pulls += 1
    return pulls


def test_a_renewed_certificate_is_used_within_a_second(site: Site) -> None:
    """In all workers, under load, and no connection and no request fails."""
    renewed, end = site.sign("renewed"), Event()
    kept = [site.connect() for _ in range(CLIENTS)]
    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        anew = [pool.submit(pull_until, site, end) for _ in range(CLIENTS)]
        going_on = [pool.submit(pull_on, site, each, end) for each in kept]
        time.sleep(0.3)  # both kinds of clients are at work
        site.replace(renewed, ".pem", ".key")
        changed = time.monotonic()
        wait_until(lambda: count(site, READ_AGAIN) == WORKERS, "all workers look")
        time.sleep(max(0.0, changed + SOON + 0.3 - time.monotonic()))  # clients come later too
        end.set()
        seen = [each for client in anew for each in client.result()]
        pulls = [client.result() for client in going_on]

    assert {name for began, name in seen if began < changed - 0.1} == {"server of a test"}
    assert {name for began, name in seen if began > changed + SOON} == {"renewed of a test"}
    assert all(pulls)
    for connection in kept:
        assert find_name(connection) == "server of a test"
        assert site.pull(connection)
        connection.close()


def test_half_a_pair_is_not_used(site: Site) -> None:
    """The former pair stays, and each worker says so once, and not once a second."""
    renewed = site.sign("renewed")
    site.replace(renewed, ".pem")
    connect_until(site, lambda: count(site, NOT_READ) == WORKERS)
    for _ in range(20):
        assert site.show() == "server of a test"
        time.sleep(0.05)  # several looks
    (why,) = {str(each["why"]) for each in site.mirror.events(NOT_READ)}
    assert "the key is of another certificate; put the key beside" in why
    assert count(site, NOT_READ) == WORKERS

    site.replace(renewed, ".key")
    connect_until(site, lambda: count(site, READ_AGAIN) == WORKERS)
    assert {site.show() for _ in range(10)} == {"renewed of a test"}


def test_a_worker_that_is_replaced_meanwhile_serves(site: Site) -> None:
    """It begins with what the supervisor has read, and not with half of a pair."""
    site.replace(site.sign("renewed"), ".pem")
    (children,) = Path(f"/proc/{site.mirror.pid}/task").glob("*/children")
    workers = {int(pid) for pid in children.read_text().split()}
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: count(site, REPLACED) == len(workers), "all processes are replaced")

    connect_until(site, lambda: count(site, NOT_READ) == WORKERS)
    assert {site.show() for _ in range(10)} == {"server of a test"}


def connect_until(site: Site, holds: Callable[[], bool]) -> None:
    """Connect and stay, so that the workers take turns, until something holds."""
    kept = []

    def try_again() -> bool:
        kept.append(site.connect())
        return holds()

    wait_until(try_again, "every worker has looked")
    for connection in kept:
        connection.close()


def count(site: Site, event: str) -> int:
    """Return how many lines of the log have an event."""
    return len(site.mirror.events(event))
