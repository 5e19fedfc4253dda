"""The console: whether the mirror lives, whether it can serve, and what it counts."""

import os
import signal
import socket
from urllib.parse import urlsplit

import pytest

from registry import __version__
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children
from tests.integration.wire import fetch, wait_until

MIB = 1 << 20


def read_metrics(mirror: MirrorProcess) -> dict[str, float]:
    """Every sample by its name and labels."""
    lines = fetch(f"{mirror.console}/metrics").body.decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_a_running_mirror_is_alive_and_ready(shared_mirror: MirrorProcess) -> None:
    """`/livez` and `/readyz` are 200, and not on the port of the pulls."""
    wait_until(lambda: fetch(f"{shared_mirror.console}/readyz").status == 200, "readiness")

    assert fetch(f"{shared_mirror.console}/livez").status == 200
    assert fetch(f"{shared_mirror.url}/livez").status == 404
    assert fetch(f"{shared_mirror.console}/v2/").status == 404


def test_requests_are_counted_over_all_workers(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """The metrics of all processes are one: kind, status, origin, and the bytes that were kept."""
    image = hub.add_image("team/counted", "1", [b"counted" * 1000])
    mirror = make_mirror(workers=2)
    for _ in range(10):
        fetch(f"{mirror.url}/v2/team/counted/manifests/1")
    blob = f"{mirror.url}/v2/team/counted/blobs/{image.layers[0]}"
    fetch(blob)
    fetch(f"{mirror.url}/v2/team/counted/manifests/absent")

    def count(kind: str, status: int, origin: str) -> float:
        labels = f'kind="{kind}",origin="{origin}",status="{status}"'
        return read_metrics(mirror).get(f"entrepot_requests_total{{{labels}}}", 0.0)

    wait_until(lambda: count("manifests", 200, "miss") == 1, "the miss is counted")
    wait_until(lambda: count("manifests", 200, "hit") == 9, "the hits are counted")
    wait_until(lambda: count("manifests", 404, "") == 1, "the absence is counted")
    kept = float(len(b"counted" * 1000) + len(image.manifest))
    wait_until(lambda: read_metrics(mirror).get("entrepot_stored_bytes_total") == kept, "the bytes")


def test_a_mirror_with_a_worker_that_is_stuck_is_not_ready(make_mirror: MirrorMaker) -> None:
    """If one worker of two does not answer, `/readyz` is 503 and names it; `/livez` is 200."""
    mirror = make_mirror({"limits": {"connections": 100}}, workers=2)
    # A worker that has not started yet has no clients, so that /readyz says nothing of it.
    both = 200
    wait_until(lambda: read_metrics(mirror)["entrepot_connection_limit"] == both, "both workers")
    worker = list_children(mirror.pid)[1]

    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 503, "it is not ready")
    body = fetch(f"{mirror.console}/readyz").body
    alive = fetch(f"{mirror.console}/livez").status
    os.kill(worker, signal.SIGCONT)

    assert body == b"worker 0 does not answer\n"
    assert alive == 200
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness again")


@pytest.mark.parametrize(("host", "status"), [("mirror.lan", 200), ("evil.example", 421)])
def test_the_console_answers_to_its_own_names(
    make_mirror: MirrorMaker, host: str, status: int
) -> None:
    """A page whose name leads to this machine cannot read the console through a browser."""
    mirror = make_mirror({"server": {"console_hosts": ["mirror.lan"]}}, workers=1)
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness")

    for path in ("/", "/livez", "/readyz", "/metrics"):
        assert fetch(mirror.console + path, {"Host": f"{host}:5001"}).status == status


def test_limit_free_downloads_and_version_are_gauges(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """The limit is that of the settings; a download counts while it is running."""
    mirror = make_mirror({"storage": {"limit": "3GiB"}}, workers=1)
    digest = hub.add_big_blob(8 * MIB, repository="team/slow")
    before = read_metrics(mirror)
    hub.rate = 4 * MIB
    with open_blob(f"{mirror.url}/v2/team/slow/blobs/{digest}"):
        wait_until(lambda: read_metrics(mirror)["entrepot_downloads"] == 1, "it is running")
    wait_until(lambda: read_metrics(mirror)["entrepot_downloads"] == 0, "it is over")

    assert before["entrepot_limit_bytes"] == 3 * 1024 * MIB
    assert before["entrepot_free_bytes"] > 0
    assert before["entrepot_downloads"] == 0
    assert before[f'entrepot_build_info{{version="{__version__}"}}'] == 1


def test_bytes_are_counted_while_they_are_sent(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A client that reads slowly does not hide for an hour what it gets."""
    mirror = make_mirror(workers=1)
    size = 128 * MIB
    digest = hub.add_big_blob(size, repository="team/large")
    url = f"{mirror.url}/v2/team/large/blobs/{digest}"
    fetch(url)
    wait_until(lambda: fetch(url, method="HEAD").origin == "hit", "the blob is stored")
    with open_blob(url) as connection:
        read_some(connection, size // 2)
        wait_until(lambda: count_sent(mirror, "hit") >= size // 4, "a part is counted")
        assert count_sent(mirror, "hit") < size
        read_some(connection, size // 2)
        wait_until(lambda: count_sent(mirror, "hit") == size, "all is counted")
    assert count_sent(mirror, "miss") == size


def open_blob(url: str) -> socket.socket:
    """Ask for a blob, and read nothing of it."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return connection


def read_some(connection: socket.socket, size: int) -> None:
    while size > 0:
        size -= len(connection.recv(min(size, MIB)))


def count_sent(mirror: MirrorProcess, origin: str) -> float:
    return read_metrics(mirror).get(
        f'entrepot_sent_bytes_total{{kind="blobs",origin="{origin}"}}', 0.0
    )
