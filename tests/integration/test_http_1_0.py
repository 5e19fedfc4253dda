"""Clients of HTTP/1.0, such as nginx with its default `proxy_http_version`."""

import socket

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Lie, NoLength
from tests.integration.wire import PATIENCE, send_raw, status_of

SIZE = 1 << 20


def test_a_blob_of_unknown_size(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A client that knows no chunks gets the bytes; the end of the connection ends the body."""
    digest = hub.add_big_blob(SIZE, repository="team/app")
    hub.faults.add(Fault("any", NoLength(), contains=digest, times=None))
    mirror = make_mirror(workers=1)
    request = f"GET /v2/team/app/blobs/{digest} HTTP/1.0\r\nHost: a\r\n\r\n".encode()

    answer = send_raw(mirror.host, request)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert status_of(answer) == 200
    assert b"content-length" not in head.lower()
    assert body == hub.blob(digest)
    assert not [line for line in mirror.events("request") if line["level"] != "info"]


def test_a_blob_of_unknown_size_that_ends_early(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """If the bytes are wrong, the connection ends with an error, and not as a body ends."""
    digest = hub.add_big_blob(SIZE, repository="team/app")
    hub.faults.add(Fault("any", NoLength(), method="HEAD", contains=digest, times=None))
    hub.faults.add(Fault("any", (NoLength(), Lie()), contains=digest, times=None))
    mirror = make_mirror(workers=1)
    name, _, port = mirror.host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=PATIENCE) as client:
        client.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.0\r\nHost: a\r\n\r\n".encode())
        received = b""
        try:
            while data := client.recv(65536):
                received += data
        except ConnectionResetError:
            return
    raise AssertionError(f"{len(received)} bytes looked like a whole blob")
