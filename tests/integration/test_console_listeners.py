"""Browsers that look at a page for hours: how many there may be, and what they cost."""

import re
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from registry.console.live import MOST
from tests.conftest import MirrorMaker
from tests.harness.console_browser import ConsoleBrowser
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children

MIB = 1 << 20
BAR = 20 * MIB


@pytest.mark.alone
def test_two_hundred_listeners_take_little_memory(make_mirror: MirrorMaker) -> None:
    """They take at most 20 MiB together, and one more is refused with 503."""
    mirror = make_mirror(workers=1)
    console = ConsoleBrowser(mirror)
    console.ask("/")  # imports and opens what pages need
    with ExitStack() as stack:
        await_event(stack.enter_context(listen(mirror)))
        before = measure_memory(mirror)
        for _ in range(MOST - 1):
            await_event(stack.enter_context(listen(mirror)))
        after = measure_memory(mirror)
        refused = console.ask("/live")

        assert after - before <= BAR
        assert refused.status == 503
        assert console.ask("/").status == 200


def listen(mirror: MirrorProcess) -> socket.socket:
    """Ask for events as a browser does."""
    parts = urlsplit(mirror.console)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    connection.sendall(f"GET /live HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return connection


def await_event(connection: socket.socket) -> None:
    """Wait until the first event has come."""
    seen = b""
    while b"data: " not in seen:
        more = connection.recv(65_536)
        assert more, seen
        seen += more


def measure_memory(mirror: MirrorProcess) -> int:
    """Return the memory of all processes of a mirror, of which shared pages count once."""
    sizes = []
    for pid in (mirror.pid, *list_children(mirror.pid)):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.search(r"Pss:\s+(\d+) kB", text)
        assert found is not None
        sizes.append(int(found[1]) * 1024)
    return sum(sizes)
