"""Readers of a blob that is still arriving: they come, go, skip and dawdle as they like."""

import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.large_layer import KIB, MIB, Cargo, publish
from tests.harness.many_clients import Crowd
from tests.harness.mirror import MirrorProcess

SIZE = 8 * MIB
RATE = 6 * MIB


@pytest.fixture
def cargo(hub: FakeUpstream, tmp_path: Path) -> Cargo:
    """A blob that takes over a second to arrive."""
    hub.rate = RATE
    return publish(tmp_path, SIZE, hub)


@pytest.fixture
def url(mirror: MirrorProcess, cargo: Cargo) -> str:
    return cargo.introduce(mirror)


def start_fill(url: str, cargo: Cargo, mirror: MirrorProcess) -> Crowd:
    """Begin a pull, and wait until a part of the blob is here."""
    crowd = Crowd(url, cargo.truth)
    await_truth(lambda: cargo.part(mirror).exists() and cargo.part(mirror).stat().st_size > MIB)
    return crowd


def test_readers_join_at_any_moment(hub: FakeUpstream, cargo: Cargo, url: str) -> None:
    """Ten clients come one after the other while it arrives: one transfer, ten right bodies."""
    with Crowd(url, cargo.truth, 10, 0.1) as crowd:
        pulls = crowd.join()

    assert [pull.is_right for pull in pulls] == [True] * 10, pulls
    assert cargo.sent() == SIZE, str(hub.journal)
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
def test_ranges_of_what_is_arriving(
    cargo: Cargo, mirror: MirrorProcess, url: str, asked: str, start: int, stop: int
) -> None:
    """A range is answered from the flight: at once where it has landed, else when it has."""
    with start_fill(url, cargo, mirror) as crowd:
        answer = httpx.get(url, headers={"Range": asked}, timeout=30)
        crowd.join()

    assert answer.status_code == 206
    assert answer.headers["X-Entrepot-Origin"] == "joined"
    assert answer.content == cargo.truth.read_bytes()[start:stop]
    assert cargo.sent() == SIZE


def test_a_landed_range_does_not_wait(cargo: Cargo, mirror: MirrorProcess, url: str) -> None:
    """The beginning of a blob can be read before its end has arrived."""
    with start_fill(url, cargo, mirror) as crowd:
        answer = httpx.get(url, headers={"Range": "bytes=0-65535"}, timeout=30)
        answered = time.monotonic()
        (pull,) = crowd.join()

    assert answer.content == cargo.truth.read_bytes()[:65536]
    assert answered < pull.last_byte


def test_a_slow_reader_delays_nobody(cargo: Cargo, mirror: MirrorProcess, url: str) -> None:
    """While one client takes nothing at all the others are served; then it gets its bytes too."""
    host, port = mirror.host.split(":")
    with socket.socket() as dawdler:
        dawdler.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * KIB)
        dawdler.connect((host, int(port)))
        target = url.removeprefix(mirror.url)
        dawdler.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        with Crowd(url, cargo.truth, 6) as crowd:
            pulls = crowd.join()
        dawdler.settimeout(30)
        body = b"".join(iter(lambda: dawdler.recv(MIB), b"")).partition(b"\r\n\r\n")[2]

    assert [pull.is_right for pull in pulls] == [True] * 6, pulls
    assert body == cargo.truth.read_bytes()
    assert cargo.sent() == SIZE


def test_a_fill_outlives_its_clients(cargo: Cargo, mirror: MirrorProcess, url: str) -> None:
    """All clients leave in the middle, and the blob still becomes whole, fetched once."""
    start_fill(url, cargo, mirror).kill()

    assert cargo.await_file(mirror) == cargo.truth.read_bytes()
    assert cargo.sent() == SIZE


def test_a_head_fetches_nothing(hub: FakeUpstream, cargo: Cargo, url: str) -> None:
    """A HEAD of a blob that is not here says its size from the manifest, and moves no byte."""
    answer = httpx.head(url, timeout=30)

    assert answer.headers["Content-Length"] == str(SIZE)
    assert cargo.sent() == 0, str(hub.journal)


def test_a_flight_is_not_for_strangers(
    hub: FakeUpstream, cargo: Cargo, mirror: MirrorProcess, url: str
) -> None:
    """A repository without the blob gets 404, while it arrives for another one and afterwards."""
    hub.add_image("library/stranger", "1", [b"something else"])
    stranger = url.replace(cargo.repository, "library/stranger")
    with start_fill(url, cargo, mirror) as crowd:
        during = httpx.get(stranger, timeout=30)
        crowd.join()
    after = httpx.get(stranger, timeout=30)

    assert [during.status_code, after.status_code] == [404, 404]
    assert after.json()["errors"][0]["code"] == "BLOB_UNKNOWN"


def test_a_failed_start_is_a_clear_error_for_all(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """When the upstream has the manifest and not the blob, no client of either worker gets 200."""
    cargo = publish(tmp_path, MIB, hub)
    mirror = make_mirror()
    url = cargo.introduce(mirror)
    hub.remove_repository(cargo.repository)
    hub.add_image(cargo.repository, "2", [b"other"])

    with httpx.Client(timeout=30) as client:
        answers = [client.get(url, headers={"Connection": "close"}) for _ in range(6)]

    assert {answer.status_code for answer in answers} == {404}
