"""Clients that close the connection before they have the whole body.

containerd 2.1 and later does so with every chunk of a layer that it downloads in parallel.
"""

import socket
import struct
from urllib.parse import urlsplit

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

MIB = 1024 * 1024
NAME = "team/large"


def leave_after(url: str, wanted: int, *, reset: bool) -> int:
    """Request `url`, read `wanted` bytes or a little more, and close; return how many were read."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        if reset:  # closing sends a RST, as when a process is killed with bytes unread
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        count = 0
        while count < wanted:
            count += len(connection.recv(64 * 1024))
    return count


def wait_for_line(mirror: MirrorProcess, number: int) -> dict[str, object]:
    """Return the log line of a request, by its number."""
    wait_until(lambda: len(mirror.events("request")) > number, "the log line of the request")
    (line,) = mirror.events("request")[number:]
    return line


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("is_downloading", [True, False])
def test_client_that_leaves_is_one_line(
    make_mirror: MirrorMaker, hub: FakeUpstream, *, is_downloading: bool, reset: bool
) -> None:
    """It is logged as 499, with the origin and the bytes that were sent, and without an error."""
    size = 32 * MIB
    image = hub.add_image(NAME, "1", [bytes(size)])
    mirror = make_mirror(workers=1)
    base = f"{mirror.url}/v2/{NAME}"
    fetch(f"{base}/manifests/1")
    digest = image.layers[0]
    if is_downloading:
        hub.rate = 8 * MIB
    else:
        fetch(f"{base}/blobs/{digest}")
    before = 1 if is_downloading else 2
    wait_until(lambda: len(mirror.events("request")) == before, "the log lines until now")

    read = leave_after(f"{mirror.url}/v2/{NAME}/blobs/{digest}", MIB, reset=reset)

    line = wait_for_line(mirror, before)
    assert (line["status"], line["level"]) == (499, "info"), line
    assert line["origin"] in ({"miss"} if is_downloading else {"joined", "hit"})
    assert read - 1024 <= int(str(line["bytes"])) < size, "1,024 bytes are enough for the headers"
    assert '"level":"error"' not in mirror.log().replace(" ", "")
    assert "Traceback" not in mirror.log()
