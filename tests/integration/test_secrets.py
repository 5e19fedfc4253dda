"""Passwords of clients: whatever a client sends, none of it is in an answer or in the log."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.harness.mirror import MirrorProcess
from tests.integration.wire import send_raw, status_of, wait_until

MARK = "Zx9Q"  # repeated, so that each part of the secret with three letters can be recognised
PART = re.compile("Zx9|x9Q|9QZ|QZx")
KIB = 1024


def secret(size: int) -> str:
    return (MARK * (size // 4 + 1))[:size]


def get(*headers: str, target: str = "/v2/", start: str = "GET") -> bytes:
    lines = [f"{start} {target} HTTP/1.1", "Host: mirror.lan", *headers, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


IGNORED = {
    "a password": get(f"Authorization: Basic {secret(40)}"),
    "9 KiB": get(f"Authorization: Bearer {secret(9 * KIB)}"),
    "12 KiB": get(f"Authorization: Bearer {secret(12 * KIB)}"),
    "12 KiB of cookies": get(f"Cookie: session={secret(12 * KIB)}"),
    "12 KiB for a proxy": get(f"Proxy-Authorization: Basic {secret(12 * KIB)}"),
    "64 KiB": get(f"Authorization: {secret(64 * KIB)}"),
    "64 KiB of cookies": get(f"Cookie: {secret(64 * KIB)}"),
    "both": get(f"Authorization: {secret(40 * KIB)}", f"Cookie: {secret(40 * KIB)}"),
    "Latin-1": get(f"Authorization: Basic {secret(40)}\xe9"),
    "twice": get(*[f"Authorization: Basic {secret(40)}"] * 2),
    "in the URL": get(target=f"http://ann:{secret(40)}@mirror.lan/v2/"),
    "as a parameter": get(target=f"/v2/?access_token={secret(40)}"),
}
REFUSED = {
    "65 KiB": get(f"Authorization: Bearer {secret(65 * KIB)}"),
    "65 KiB of cookies": get(f"Cookie: {secret(65 * KIB)}"),
    "200 KiB": get(f"Authorization: Bearer {secret(200 * KIB)}"),
    "a control character": get(f"Authorization: Basic {secret(40)}\x01{secret(40)}"),
    "NUL": get(f"Authorization: Basic {secret(40)}\x00"),
    "a control character in a cookie": get(f"Cookie: a={secret(40)}\x02"),
    "CR": get(f"Authorization: Basic {secret(40)}\rX: {secret(40)}"),
    "folded": get(f"Authorization: Basic\r\n {secret(40)}\x01"),
    "a blank before the colon": get(f"Authorization : Basic {secret(40)}"),
    "no colon": get(f"Authorization Basic {secret(40)}"),
    "as a name": get(f"{secret(40)} {secret(40)}: 1"),
    "as a long name": get(f"{secret(70 * KIB)}: 1"),
    "before a broken header": get(f"Authorization: Basic {secret(40)}", "broken header: 1"),
    "before a wrong length": get(f"Authorization: Basic {secret(40)}", "Content-Length: -1"),
    "in a broken URL": get(target=f"http://ann:{secret(40)}@/v2/"),
    "in a long URL": get(target=f"/v2/?access_token={secret(9 * KIB)}"),
    "as a method": get(start=f"Basic {secret(40)}"),
    "without a host": f"GET /v2/ HTTP/1.1\r\nAuthorization: {secret(40)}\r\n\r\n".encode(),
    "as a version": f"GET /v2/ HTTP/9.9{secret(40)}\r\n\r\n".encode(),
    "as everything": f"{secret(400)}\r\n\r\n".encode(),
}


@pytest.fixture(scope="module")
def quiet(shared_mirror: MirrorProcess) -> Iterator[MirrorProcess]:
    """A mirror whose log is searched at the end, when everything has been written."""
    yield shared_mirror
    assert PART.search(shared_mirror.log()) is None


def check_refusal(answer: bytes) -> None:
    """Check that the answer is the specification's JSON, and quotes nothing."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status_of(answer) == 400
    assert b"content-type: application/json" in head.lower()
    (error,) = json.loads(body)["errors"]
    assert error["code"] == "UNKNOWN"
    assert error["message"]
    assert PART.search(answer.decode("latin-1")) is None


@pytest.mark.parametrize("name", IGNORED)
def test_passwords_are_ignored(quiet: MirrorProcess, name: str) -> None:
    """Whatever it is, a password of up to 64 KiB changes nothing: 200."""
    answer = send_raw(quiet.host, IGNORED[name])

    assert status_of(answer) == 200
    assert PART.search(answer.decode("latin-1")) is None


@pytest.mark.parametrize("name", REFUSED)
def test_bytes_that_are_no_request_are_not_quoted(quiet: MirrorProcess, name: str) -> None:
    """400 in the specification's JSON, and one line in the log that says why."""
    before = len(quiet.events("request"))

    check_refusal(send_raw(quiet.host, REFUSED[name]))

    wait_until(lambda: len(quiet.events("request")) > before, "the line of the refusal")
    line = quiet.events("request")[-1]
    assert (line["status"], line["level"]) == (400, "info")
    assert line["failure"]
    assert PART.search(quiet.log()) is None


@pytest.mark.parametrize("name", REFUSED)
def test_the_console_quotes_nothing_either(quiet: MirrorProcess, name: str) -> None:
    """Prometheus sends passwords too: the same answer, and nothing of it in the log."""
    host = quiet.console.removeprefix("http://")

    check_refusal(send_raw(host, REFUSED[name]))

    assert PART.search(quiet.log()) is None


def test_a_trailer_is_not_quoted(quiet: MirrorProcess) -> None:
    """Headers after a chunked body are headers too."""
    body = f"1\r\nx\r\n0\r\nAuthorization: {secret(40)}\x01\r\n\r\n"
    request = (
        f"PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
    )

    answer = send_raw(quiet.host, request.encode())

    assert status_of(answer) in {400, 405}
    assert PART.search(answer.decode("latin-1")) is None
