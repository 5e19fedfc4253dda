"""The memory of a mirror that downloads many large blobs over slow links at once."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.large_layer import KIB, MIB
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children

NAME = "team/large"
BLOBS = 50
SIZE = 64 * MIB
RATE = 512 * KIB  # bytes a second of each connection of the upstream
SECONDS = 20.0  # for which the memory is watched: today's revision has taken all of it by then
IDLE, BUSY = 80.0, 150.0  # MiB of all processes with two workers
COLD, LEFT = 16, 18.0  # cold pulls at once, and how many MiB more the processes have then


@pytest.mark.programs
@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("do_leave", [False, True])
def test_many_slow_downloads_need_little_memory(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None], do_leave: bool
) -> None:
    """Whether the clients stay or leave, all processes together stay within their bounds."""
    blobs = [hub.add_big_blob(SIZE, seed) for seed in range(BLOBS)]
    hub.add_image(NAME, "1", blobs)
    hub.connection_rate = RATE
    mirror = make_mirror()
    idle = start_alone(mirror)
    most, files = 0.0, 0
    with ExitStack() as stack:
        clients = [stack.enter_context(ask(mirror, digest)) for digest in blobs]
        for client in clients if do_leave else ():
            client.recv(KIB)
            client.close()
        clients = [] if do_leave else clients
        for client in clients:
            client.setblocking(False)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            most, files = max(most, measure(mirror)), max(files, count_files(mirror))
            for client in clients:
                read_what_is_there(client)
            time.sleep(0.1)

    note(f"PSS {idle:.0f} MiB idle, {most:.0f} MiB with {BLOBS} downloads, {files} descriptors")
    assert most <= BUSY


@pytest.mark.programs
@pytest.mark.alone
def test_memory_of_downloads_is_given_back(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None]
) -> None:
    """After many cold pulls at once, the processes are hardly larger than before."""
    blobs = [hub.add_big_blob(16 * MIB, seed) for seed in range(COLD)]
    hub.add_image(NAME, "1", blobs)
    mirror = make_mirror()
    idle = start_alone(mirror)

    with ThreadPoolExecutor(COLD) as pool:
        urls = [f"{mirror.url}/v2/{NAME}/blobs/{digest}" for digest in blobs]
        sizes = [len(each.content) for each in pool.map(partial(httpx.get, timeout=60), urls)]

    assert sizes == [16 * MIB] * COLD
    deadline = time.monotonic() + 10
    while (after := measure(mirror)) > idle + LEFT and time.monotonic() < deadline:
        time.sleep(0.2)
    note(f"PSS {idle:.0f} MiB idle, {after:.0f} MiB after {COLD} cold pulls")
    assert after <= idle + LEFT


@pytest.mark.soak
def test_idle_processes_need_little_memory(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None]
) -> None:
    """Two workers, the background process and the supervisor together, after one request."""
    hub.add_image(NAME, "1", [b"layer"])
    idle = start_alone(make_mirror())
    note(f"PSS {idle:.0f} MiB idle")
    assert idle <= IDLE


def start_alone(mirror: MirrorProcess) -> float:
    """Start a mirror whose memory no other program shares; return its PSS in MiB when idle."""
    mirror.stop()
    mirror.start_anew()  # the processes of the fork server share memory with others
    httpx.get(f"{mirror.url}/v2/{NAME}/manifests/1", timeout=30).raise_for_status()
    time.sleep(2.0)  # the supervisor and its children have ended their start
    return measure(mirror)


def ask(mirror: MirrorProcess, digest: str) -> socket.socket:
    """Ask for a blob."""
    host, port = mirror.host.split(":")
    client = socket.create_connection((host, int(port)), timeout=60)
    client.sendall(f"GET /v2/{NAME}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def read_what_is_there(client: socket.socket) -> None:
    with suppress(BlockingIOError):
        while client.recv(MIB):
            pass


def list_processes(mirror: MirrorProcess) -> list[int]:
    return [mirror.pid, *list_children(mirror.pid)]


def measure(mirror: MirrorProcess) -> float:
    """Return the memory of all processes in MiB; what they share counts once (proc(5), Pss)."""
    total = 0
    for pid in list_processes(mirror):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def count_files(mirror: MirrorProcess) -> int:
    """Return the highest number of descriptors that one process has open."""
    counts = [0]
    for pid in list_processes(mirror):
        with suppress(FileNotFoundError):
            counts.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
    return max(counts)
