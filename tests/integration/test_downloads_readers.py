"""Clients of a blob that is downloading: they join, leave, ask for ranges, and read slowly."""

import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.large_layer import KIB, MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients
from tests.harness.mirror import MirrorProcess

SIZE = 8 * MIB
RATE = 6 * MIB


@pytest.fixture
def layer(hub: FakeUpstream, tmp_path: Path) -> LargeLayer:
    """A blob that takes over a second to arrive."""
    hub.rate = RATE
    return publish(tmp_path, SIZE, hub)


@pytest.fixture
def url(mirror: MirrorProcess, layer: LargeLayer) -> str:
    return layer.pull_manifest(mirror)


def start_fill(url: str, layer: LargeLayer, mirror: MirrorProcess) -> ManyClients:
    """Begin a pull, and wait until a part of the blob is here."""
    clients = ManyClients(url, layer.expected)
    await_truth(lambda: layer.part(mirror).exists() and layer.part(mirror).stat().st_size > MIB)
    return clients


def test_readers_join_at_any_moment(hub: FakeUpstream, layer: LargeLayer, url: str) -> None:
    """Ten clients join one after the other during the download: one transfer, ten right bodies."""
    with ManyClients(url, layer.expected, 10, 0.1) as clients:
        pulls = clients.join()

    assert [pull.is_right for pull in pulls] == [True] * 10, pulls
    assert layer.sent() == SIZE, str(hub.journal)
    assert {"miss", "joined"} <= {pull.origin for pull in pulls}


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-99", 0, 100),
        (f"bytes={SIZE // 2}-{SIZE // 2 + 70 * KIB}", SIZE // 2, SIZE // 2 + 70 * KIB + 1),
        ("bytes=-300000", SIZE - 300_000, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ],
)
def test_ranges_during_the_download(
    layer: LargeLayer, mirror: MirrorProcess, url: str, asked: str, start: int, stop: int
) -> None:
    """A range is answered from the partial file: at once where its bytes are there, else later."""
    with start_fill(url, layer, mirror) as clients:
        answer = httpx.get(url, headers={"Range": asked}, timeout=30)
        clients.join()

    assert answer.status_code == 206
    assert answer.headers["X-Entrepot-Origin"] == "joined"
    assert answer.content == layer.expected.read_bytes()[start:stop]
    assert layer.sent() == SIZE


def test_a_range_that_is_there_does_not_wait(
    layer: LargeLayer, mirror: MirrorProcess, url: str
) -> None:
    """The beginning of a blob can be read before its end has arrived."""
    with start_fill(url, layer, mirror) as clients:
        answer = httpx.get(url, headers={"Range": "bytes=0-65535"}, timeout=30)
        answered = time.monotonic()
        (pull,) = clients.join()

    assert answer.content == layer.expected.read_bytes()[:65536]
    assert answered < pull.last_byte


def test_a_slow_reader_delays_nobody(layer: LargeLayer, mirror: MirrorProcess, url: str) -> None:
    """While one client takes nothing at all the others are served; then it gets its bytes too."""
    host, port = mirror.host.split(":")
    with socket.socket() as dawdler:
        dawdler.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * KIB)
        dawdler.connect((host, int(port)))
        target = url.removeprefix(mirror.url)
        dawdler.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        with ManyClients(url, layer.expected, 6) as clients:
            pulls = clients.join()
        dawdler.settimeout(30)
        body = b"".join(iter(lambda: dawdler.recv(MIB), b"")).partition(b"\r\n\r\n")[2]

    assert [pull.is_right for pull in pulls] == [True] * 6, pulls
    assert body == layer.expected.read_bytes()
    assert layer.sent() == SIZE


def test_a_download_outlives_its_clients(
    layer: LargeLayer, mirror: MirrorProcess, url: str
) -> None:
    """All clients leave in the middle, and the blob still becomes whole, fetched once."""
    start_fill(url, layer, mirror).kill()

    assert layer.await_file(mirror) == layer.expected.read_bytes()
    assert layer.sent() == SIZE


def test_a_head_fetches_nothing(hub: FakeUpstream, layer: LargeLayer, url: str) -> None:
    """A HEAD of a blob that is not here says its size from the manifest, and moves no byte."""
    answer = httpx.head(url, timeout=30)

    assert answer.headers["Content-Length"] == str(SIZE)
    assert layer.sent() == 0, str(hub.journal)


def test_a_download_is_served_to_its_repository_only(
    hub: FakeUpstream, layer: LargeLayer, mirror: MirrorProcess, url: str
) -> None:
    """A repository without the blob gets 404, during the download for another and afterwards."""
    hub.add_image("library/stranger", "1", [b"something else"])
    stranger = url.replace(layer.repository, "library/stranger")
    with start_fill(url, layer, mirror) as clients:
        during = httpx.get(stranger, timeout=30)
        clients.join()
    after = httpx.get(stranger, timeout=30)

    assert [during.status_code, after.status_code] == [404, 404]
    assert after.json()["errors"][0]["code"] == "BLOB_UNKNOWN"


def test_a_failed_start_is_a_clear_error_for_all(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """When the upstream has the manifest and not the blob, no client of either worker gets 200."""
    layer = publish(tmp_path, MIB, hub)
    mirror = make_mirror()
    url = layer.pull_manifest(mirror)
    hub.remove_repository(layer.repository)
    hub.add_image(layer.repository, "2", [b"other"])

    with httpx.Client(timeout=30) as client:
        answers = [client.get(url, headers={"Connection": "close"}) for _ in range(6)]

    assert {answer.status_code for answer in answers} == {404}
