"""The mirror over TLS: the same answers through `tls_cert` and `tls_key`."""

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fakes.certificates import make_authority
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.test_console import read_metrics
from tests.integration.wire import PATIENCE, fetch, send_raw, wait_until

LAYER = b"over TLS" * 100_000


@dataclass(frozen=True)
class SecureMirror:
    """A mirror that speaks TLS, and what a client needs to trust it."""

    process: MirrorProcess
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://{self.process.host}"


@pytest.fixture(scope="module")
def secure(
    shared_hub: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureMirror]:
    folder = tmp_path_factory.mktemp("secure")
    authority = make_authority(folder)
    files = {"tls_cert": str(authority.certificate), "tls_key": str(authority.key)}
    upstreams = {"docker.io": shared_hub.url}
    with MirrorProcess(folder, upstreams, {"server": files}, workers=1) as running:
        yield SecureMirror(running, authority.client_context())


def test_images_come_over_tls(secure: SecureMirror, shared_hub: FakeUpstream) -> None:
    """Manifests and blobs, cold, hot and in ranges, are the same bytes as without TLS."""
    image = shared_hub.add_image("team/secure", "1", [LAYER])
    base = f"{secure.url}/v2/team/secure"
    blob = f"{base}/blobs/{image.layers[0]}"

    manifest = fetch(f"{base}/manifests/1", tls=secure.trust)
    cold = fetch(blob, tls=secure.trust)
    hot = fetch(blob, tls=secure.trust)
    part = fetch(blob, {"Range": "bytes=1000-499999"}, tls=secure.trust)

    assert (manifest.status, manifest.body) == (200, image.manifest)
    assert (cold.status, cold.body) == (200, LAYER)
    assert (hot.status, hot.body) == (200, LAYER)
    assert (part.status, part.body) == (206, LAYER[1000:500_000])


def test_links_stay_relative(secure: SecureMirror, shared_hub: FakeUpstream) -> None:
    """A page's Link names no scheme, so it holds behind TLS and behind a proxy alike."""
    image = shared_hub.add_image("team/pages", "1", [b"pages"])
    shared_hub.tag("team/pages", "2", image.digest)

    answer = fetch(f"{secure.url}/v2/team/pages/tags/list?n=1", tls=secure.trust)

    assert answer.headers["Link"] == '</v2/team/pages/tags/list?n=1&last=1>; rel="next"'


def test_plain_http_is_told_to_use_tls(secure: SecureMirror) -> None:
    """A client that does not speak TLS is told so, its connection ends, and the mirror goes on."""
    heard = send_raw(secure.process.host, b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close\r\n" in heard
    assert b"this mirror speaks TLS: write https:// and not http://" in heard
    assert fetch(f"{secure.url}/v2/", tls=secure.trust).status == 200


def test_the_end_of_a_certificate_is_told(secure: SecureMirror) -> None:
    """In the log, in the metrics, and by `config check`: it is valid for two days."""
    name = 'entrepot_certificate_expiry_timestamp_seconds{setting="server.tls_cert"}'
    wait_until(lambda: name in read_metrics(secure.process), "the first look")
    left = read_metrics(secure.process)[name] - time.time()
    (line,) = secure.process.events("certificate expires")
    checked = secure.process.run("config", "check")

    assert 86_400 < left <= 2 * 86_400
    assert line["level"] == "warning"
    assert f"note: {line['why']}" in " ".join(checked.stdout.split())
    assert checked.returncode == 0


def test_requests_in_several_records_are_read_whole(
    secure: SecureMirror, shared_hub: FakeUpstream
) -> None:
    """TLS records that arrive together reach one client complete, without bytes of another one."""
    image = shared_hub.add_image("team/records", "1", [b"records"])
    path = "/v2/team/records/manifests/1"
    fetch(f"{secure.url}{path}", {"Authorization": "Bearer s3cr3t"}, tls=secure.trust)
    request = f"GET {path} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n".encode()

    for cut in (1, 20, len(request) - 1):
        heard = send_records(secure, [request[:cut], request[cut:]])
        head, _, body = heard.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK"), heard
        assert body == image.manifest


def send_records(mirror: SecureMirror, records: list[bytes]) -> bytes:
    """Send TLS records in one segment, and return what comes back until the other side closes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    speaker = mirror.trust.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    name, _, port = mirror.process.host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=PATIENCE) as wire:
        while True:
            try:
                speaker.do_handshake()
                break
            except ssl.SSLWantReadError:
                wire.sendall(outgoing.read())
                incoming.write(wire.recv(65536))
        for record in records:
            speaker.write(record)
        wire.sendall(outgoing.read())
        heard = b""
        while True:
            try:
                piece = speaker.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(wire.recv(65536))
                continue
            if not piece:  # it says goodbye
                return heard
            heard += piece
