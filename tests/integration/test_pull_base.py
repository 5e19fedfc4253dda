"""The base of the pull API: the ping, what is no address, and everything that would write."""

from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import UPSTREAM_PASSWORD
from tests.integration.wire import fetch, send_raw, status_of, wait_until

DIGEST = "sha256:" + "0" * 64
WRITES = [
    ("POST", "/v2/library/app/blobs/uploads/"),
    ("POST", f"/v2/library/app/blobs/uploads/?mount={DIGEST}&from=library/other"),
    ("GET", "/v2/library/app/blobs/uploads/0123-4567"),
    ("PATCH", "/v2/library/app/blobs/uploads/0123-4567"),
    ("PUT", f"/v2/library/app/blobs/uploads/0123-4567?digest={DIGEST}"),
    ("DELETE", "/v2/library/app/blobs/uploads/0123-4567"),
    ("PUT", "/v2/library/app/manifests/1"),
    ("DELETE", "/v2/library/app/manifests/1"),
    ("DELETE", f"/v2/library/app/blobs/{DIGEST}"),
    ("POST", "/v2/"),
    ("OPTIONS", "/v2/library/app/manifests/1"),
]


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_ping_is_answered_without_asking_anybody(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, path: str, method: str
) -> None:
    """`/v2/` is 200 with the API's version, says JSON, and costs no request upstream."""
    shared_hub.journal.clear()

    answer = fetch(shared_mirror.url + path, method=method)

    assert answer.status == 200
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == "2"
    assert answer.body == (b"{}" if method == "GET" else b"")
    assert len(shared_hub.journal) == 0, shared_hub.journal


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writes_are_unsupported(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, method: str, path: str
) -> None:
    """Every request that would write is 405 UNSUPPORTED in the specification's JSON."""
    shared_hub.journal.clear()

    body = b"x" * 100 if method in {"POST", "PUT", "PATCH"} else None
    answer = fetch(shared_mirror.url + path, method=method, body=body)

    assert answer.status == 405
    assert answer.code == "UNSUPPORTED"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Allow"] == "GET, HEAD"
    assert len(shared_hub.journal) == 0, shared_hub.journal


def test_the_mirror_is_no_tunnel(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """CONNECT opens nothing, not even to the upstream."""
    shared_hub.journal.clear()

    request = f"CONNECT {shared_hub.host} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    response = send_raw(shared_mirror.host, request.encode())

    assert status_of(response) in {400, 404, 405}
    assert len(shared_hub.journal) == 0, shared_hub.journal


@pytest.mark.parametrize("path", ["/", "/v1/", "/v2x/", "/v2/library/app", "/favicon.ico"])
def test_other_addresses_are_unknown(shared_mirror: MirrorProcess, path: str) -> None:
    """What is no address of the API is 404 with a code that clients can read."""
    answer = fetch(shared_mirror.url + path)

    assert answer.status == 404
    assert answer.code == "NAME_UNKNOWN"


def test_the_address_of_a_client_is_that_of_its_connection(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """No header of a client changes the address that is logged and recorded."""
    shared_hub.add_image("library/addressed", "1", [b"addressed"])
    claims = {"X-Forwarded-For": "192.0.2.9", "Forwarded": "for=192.0.2.9"}

    fetch(f"{shared_mirror.url}/v2/library/addressed/manifests/1", claims)

    def find() -> list[dict[str, Any]]:
        lines = shared_mirror.events("request")
        return [line for line in lines if line.get("path") == "/v2/library/addressed/manifests/1"]

    wait_until(find, "the line of the request")
    assert [line["client"] for line in find()] == ["127.0.0.1"]


def test_no_answer_ever_challenges(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """dockerd would send its user's Hub password: no answer, also no refusal, asks for a login."""
    image = shared_hub.add_image("library/private", "1", [b"private"])
    shared_hub.private = {"library/private": ("ann", UPSTREAM_PASSWORD)}
    paths = [
        "/v2/",
        "/v2/library/private/manifests/1",
        f"/v2/library/private/manifests/{image.digest}",
        f"/v2/library/private/blobs/{image.layers[0]}",
        "/v2/library/private/tags/list",
        f"/v2/library/private/referrers/{image.digest}",
        "/v2/library/absent/manifests/1",
        "/v2/_catalog",
    ]

    answers = {path: fetch(shared_mirror.url + path) for path in paths}

    shared_hub.private = {}
    assert {200, 404} == {answer.status for answer in answers.values()}
    assert not [path for path, each in answers.items() if "WWW-Authenticate" in each.headers]
