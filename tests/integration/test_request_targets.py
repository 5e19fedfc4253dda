"""Request lines with a whole URL, which proxies and some clients send (RFC 9112 section 3.2.2)."""

import pytest

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import send_raw, status_of, wait_until

NAME = "library/absolute"


@pytest.fixture(scope="module")
def image(shared_hub: FakeUpstream) -> Image:
    """An image that every test may pull."""
    return shared_hub.add_image(NAME, "1", [b"absolute" * 1000])


def ask(mirror: MirrorProcess, line: str, host: str = "mirror.lan") -> tuple[int, bytes]:
    """Send a request line as it is; return the status and the body."""
    request = f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = send_raw(mirror.host, request.encode())
    return status_of(answer), answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "start",
    ["http://mirror.lan", "http://mirror.lan:5000", "HTTP://Mirror.LAN", "https://mirror.lan"],
)
def test_a_whole_url_is_served(shared_mirror: MirrorProcess, image: Image, start: str) -> None:
    """Manifest and blob are those of the path; a HEAD and a ping are answered too."""
    assert ask(shared_mirror, f"GET {start}/v2/") == (200, b"{}")
    assert ask(shared_mirror, f"GET {start}/v2/{NAME}/manifests/1") == (200, image.manifest)
    assert ask(shared_mirror, f"HEAD {start}/v2/{NAME}/manifests/1") == (200, b"")
    blob = f"GET {start}/v2/{NAME}/blobs/{image.layers[0]}"
    assert ask(shared_mirror, blob) == (200, b"absolute" * 1000)


def test_parameters_count(shared_mirror: MirrorProcess, image: Image) -> None:
    """`ns` names the registry, as in a request line with a path."""
    url = f"http://mirror.lan/v2/{NAME}/manifests/1"
    assert ask(shared_mirror, f"GET {url}?ns=docker.io") == (200, image.manifest)
    assert ask(shared_mirror, f"GET {url}?ns=unknown.test")[0] == 404


def test_the_host_in_the_url_counts(shared_mirror: MirrorProcess, image: Image) -> None:
    """The Host header is ignored, so an image of ghcr.io is not taken from Docker Hub."""
    path = f"/v2/{NAME}/manifests/1"
    there = ask(shared_mirror, f"GET http://ghcr.io.mirror.lan{path}", "docker.io.mirror.lan")
    here = ask(shared_mirror, f"GET http://docker.io.mirror.lan{path}", "ghcr.io.mirror.lan")
    assert there[0] != 200
    assert here == (200, image.manifest)


def test_a_url_without_a_path_is_the_root(shared_mirror: MirrorProcess) -> None:
    """It is no endpoint of the API: 404."""
    assert ask(shared_mirror, "GET http://mirror.lan")[0] == 404
    assert ask(shared_mirror, "GET http://mirror.lan?ns=docker.io")[0] == 404


def test_writes_stay_unsupported(shared_mirror: MirrorProcess) -> None:
    """The form of the request line changes nothing for a push."""
    assert ask(shared_mirror, f"PUT http://mirror.lan/v2/{NAME}/manifests/1")[0] == 405


def test_the_log_has_the_path_only(shared_mirror: MirrorProcess, image: Image) -> None:
    """The path is logged as in other requests; the host, a user and a password are not."""
    before = len(shared_mirror.events("request"))
    ask(shared_mirror, f"GET http://ann:pass-w0rd@mirror.lan/v2/{NAME}/manifests/1")
    wait_until(lambda: len(shared_mirror.events("request")) > before, "the line of the request")
    line = shared_mirror.events("request")[-1]
    assert line["path"] == f"/v2/{NAME}/manifests/1"
    assert line["repository"] == f"docker.io/{NAME}"
    assert "pass-w0rd" not in shared_mirror.log()
