"""Clients that close the connection before they have the whole body.

containerd 2.1 and later does so with every chunk of a layer that it downloads in parallel.
"""

import socket
import ssl
import struct
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream.faults import Fault, NoLength
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

MIB = 1024 * 1024
NAME = "team/large"


def leave_after(
    url: str,
    wanted: int,
    *,
    reset: bool = True,
    fields: str = "",
    tls: ssl.SSLContext | None = None,
) -> int:
    """Request `url`, read `wanted` bytes or a little more, and close; return how many were read.

    `fields` are more lines of the request, each with its end.
    """
    parts = urlsplit(url)
    plain = socket.create_connection((parts.hostname, parts.port), timeout=30)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    with tls.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain as connection:
        if reset:  # closing sends a RST, as when a process is killed with bytes unread
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{fields}\r\n".encode()
        )
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
    assert line["size"] == size
    assert line["origin"] in ({"miss"} if is_downloading else {"joined", "hit"})
    assert read - 1024 <= int(str(line["bytes"])) < size, "1,024 bytes are enough for the headers"
    assert '"level":"error"' not in mirror.log().replace(" ", "")
    assert "Traceback" not in mirror.log()


def read_sent(mirror: MirrorProcess) -> float:
    """Return the bytes of content that the mirror has counted as sent."""
    lines = fetch(f"{mirror.console}/metrics").body.decode().splitlines()
    samples = [line for line in lines if line.startswith("entrepot_sent_bytes_total")]
    return sum(float(line.rpartition(" ")[2]) for line in samples)


@pytest.mark.parametrize("has_tls", [False, True])
def test_every_way_of_leaving_is_one_line(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path, *, has_tls: bool
) -> None:
    """Ranges (as containerd asks), a body of unknown size, and a HEAD; with and without TLS.

    The metrics count the bytes of the lines.
    """
    authority = make_authority(tmp_path)
    files = {"tls_cert": str(authority.certificate), "tls_key": str(authority.key)}
    mirror = make_mirror({"server": files} if has_tls else None, workers=1)
    tls = authority.client_context() if has_tls else None
    base = f"http{'s' if has_tls else ''}://{mirror.host}/v2/{NAME}"
    stored, unknown = (
        hub.add_image(NAME, "1", [bytes(32 * MIB)]),
        hub.add_big_blob(32 * MIB, repository=NAME),
    )
    fetch(f"{base}/manifests/1", tls=tls)
    fetch(f"{base}/blobs/{stored.layers[0]}", tls=tls)
    hub.faults.add(Fault("any", NoLength(), contains=unknown, times=None))
    hub.rate = 8 * MIB
    wait_until(lambda: len(mirror.events("request")) == 2, "the log lines until now")
    blob = f"{base}/blobs/{stored.layers[0]}"

    leave_after(blob, MIB, fields=f"Range: bytes=100-{20 * MIB}\r\n", tls=tls)
    part = wait_for_line(mirror, 2)
    leave_after(f"{base}/blobs/{unknown}", MIB, tls=tls)
    chunked = wait_for_line(mirror, 3)
    fetch(blob, method="HEAD", tls=tls)
    head = wait_for_line(mirror, 4)

    assert [line["status"] for line in (part, chunked, head)] == [499, 499, 200]
    assert [line["level"] for line in (part, chunked, head)] == ["info"] * 3
    assert MIB - 1024 <= int(str(part["bytes"])) < 20 * MIB
    assert MIB - 1024 <= int(str(chunked["bytes"])) < 32 * MIB
    assert head["bytes"] == 0
    lines = mirror.events("request")
    wait_until(
        lambda: read_sent(mirror) == sum(line["bytes"] for line in lines),
        "the metrics say the same",
    )
    assert "Traceback" not in mirror.log()
