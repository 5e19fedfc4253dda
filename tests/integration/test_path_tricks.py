"""Paths that try to leave the repository: refused before anything is touched."""

from collections.abc import Iterator

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, list_tree, send_raw, status_of, wait_until

DIGEST = b"sha256:" + b"0" * 64
TRICKS = {
    "dots": b"/v2/library/../../etc/passwd/manifests/1",
    "dots at the end": b"/v2/library/app/manifests/..",
    "dots in the digest": b"/v2/library/app/blobs/../../../etc/passwd",
    "encoded dots": b"/v2/library/%2e%2e/%2e%2e/app/manifests/1",
    "encoded dots and slashes": b"/v2/library/%2e%2e%2f%2e%2e%2fapp/manifests/1",
    "one dot": b"/v2/library/./app/manifests/1",
    "encoded slash": b"/v2/library%2fapp/manifests/1",
    "encoded slash in the tag": b"/v2/library/app/manifests/1%2F2",
    "NUL": b"/v2/library/app%00/manifests/1",
    "NUL in the tag": b"/v2/library/app/manifests/1%00",
    "encoded backslash": b"/v2/library/app%5c..%5c..%5c/manifests/1",
    "backslash": b"/v2/library\\app/manifests/1",
    "encoded twice": b"/v2/library/%252e%252e/app/manifests/1",
    "slash encoded twice": b"/v2/library%252fapp/manifests/1",
    "NUL encoded twice": b"/v2/library/app%2500/manifests/1",
    "half an escape": b"/v2/library/app%2/manifests/1",
    "no escape": b"/v2/library/app%zz/manifests/1",
    "two slashes": b"/v2/library//app/manifests/1",
    "two slashes first": b"//v2/library/app/manifests/1",
    "two slashes before the tag": b"/v2/library/app/manifests//1",
    "line feed": b"/v2/library/app%0a/manifests/1",
    "carriage return": b"/v2/library/app%0d%0aX-Evil:%201/manifests/1",
    "encoded question mark": b"/v2/library/app/manifests/1%3Fns=ghcr.io",
    "encoded hash": b"/v2/library/app/manifests/1%23x",
    "tilde": b"/v2/~root/app/manifests/1",
    "long name": b"/v2/" + b"a" * 256 + b"/manifests/1",
    "long path": b"/v2/" + b"a/" * 2000 + b"manifests/1",
    "longer than any buffer": b"/v2/" + b"a" * 100_000 + b"/manifests/1",
    "long digest": b"/v2/library/app/blobs/sha256:" + b"0" * 5000,
    "UTF-8": "/v2/library/äpp/manifests/1".encode(),
    "not UTF-8": b"/v2/library/\xff\xfe/manifests/1",
    "encoded, not UTF-8": b"/v2/library/%ff%fe/manifests/1",
    "overlong slash": b"/v2/library/%c0%afapp/manifests/1",
    "right-to-left mark": b"/v2/library/%e2%80%aeapp/manifests/1",
    "absolute form with dots": b"http://registry.example.net/v2/../v2/library/app/manifests/1",
    "absolute form without a host": b"http:///v2/library/app/manifests/1",
    "absolute form of another scheme": b"ftp://registry.example.net/v2/library/app/manifests/1",
    "absolute form of a file": b"file:///etc/passwd",
    "spool": b"/v2/../spool/" + DIGEST,
    "dots in ns": b"/v2/library/app/manifests/1?ns=../../etc",
    "NUL in ns": b"/v2/library/app/manifests/1?ns=docker.io%00",
    "dots in the prefix": b"/../docker.io/v2/library/app/manifests/1",
    "dots after the prefix": b"/docker.io/../v2/library/app/manifests/1",
}


@pytest.fixture(scope="module")
def settled(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> Iterator[tuple[MirrorProcess, FakeUpstream]]:
    """A mirror that has what a trick could reach."""
    image = shared_hub.add_image("library/app", "1", [b"app"])
    assert fetch(f"{shared_mirror.url}/v2/library/app/manifests/1").status == 200
    assert fetch(f"{shared_mirror.url}/v2/library/app/blobs/{image.layers[0]}").status == 200
    whole = shared_mirror.data / "blobs" / image.layers[0].replace("sha256:", "sha256/XX/")
    whole = whole.parent.with_name(whole.name[:2]) / whole.name
    wait_until(whole.exists, "the layer is stored")
    wait_until(lambda: not list((shared_mirror.data / "spool").iterdir()), "the spool is empty")
    locks = shared_mirror.data / "locks"
    wait_until(lambda: not list(locks.glob("demand-*")), "no download is announced any more")
    yield shared_mirror, shared_hub
    assert fetch(f"{shared_mirror.url}/v2/library/app/manifests/1").status == 200


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_tricks_are_refused_and_touch_nothing(
    settled: tuple[MirrorProcess, FakeUpstream], trick: str, method: bytes
) -> None:
    """400 (or 404), the upstream is not asked, and the data folder is as it was."""
    mirror, hub = settled
    before = list_tree(mirror.data)
    hub.journal.clear()

    request = method + b" " + TRICKS[trick] + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    response = send_raw(mirror.host, request)

    assert status_of(response) in {400, 404}
    assert b"\nX-Evil" not in response
    assert b"root:" not in response
    assert len(hub.journal) == 0, hub.journal
    assert list_tree(mirror.data) == before


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"POST /v2/ HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["short", "version", "TLS", "length", "name", "long header", "smuggled"],
)
def test_what_is_no_request_is_refused(
    settled: tuple[MirrorProcess, FakeUpstream], request_bytes: bytes
) -> None:
    """Bytes that are no HTTP end with 400 and a closed connection."""
    mirror, _ = settled

    response = send_raw(mirror.host, request_bytes)

    assert status_of(response) == 400
