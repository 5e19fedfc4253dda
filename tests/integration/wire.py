"""Requests as they go over the wire: nothing is normalised, followed or retried."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.harness.planted import CLIENT_COOKIE, refuse_secrets

PATIENCE = 30.0  # seconds; the machine may be busy with other tests


@dataclass(frozen=True)
class Answer:
    """A response that arrived whole, and the seconds it took."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the specification's error document."""
        (error,) = self.json()["errors"]
        return str(error["code"])

    @property
    def message(self) -> str:
        """The sentence of the specification's error document."""
        return str(self.json()["errors"][0]["message"])

    @property
    def origin(self) -> str | None:
        """Where the mirror says it has the content from."""
        return self.headers["X-Entrepot-Origin"]

    @property
    def lasting_headers(self) -> list[tuple[str, str]]:
        """The headers that do not change from one answer to the next."""
        passing = {"date", "x-entrepot-origin"}
        return [pair for pair in self.headers.items() if pair[0].lower() not in passing]


def fetch(
    url: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    method: str = "GET",
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """One request on a connection of its own, its target exactly as written.

    It has a cookie, as a browser's has, and no answer may have any planted secret in it.
    """
    parts = urlsplit(url)
    target = url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=PATIENCE, context=tls)
        if tls is not None
        else http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    )
    given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    given.append(("Cookie", CLIENT_COOKIE))
    named = {name.lower() for name, _ in given}
    began = time.monotonic()
    try:
        connection.putrequest(method, target, skip_host="host" in named, skip_accept_encoding=True)
        for name, value in given:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        refuse_secrets(f"the answer to {method} {target}", f"{response.headers}".encode() + content)
        return Answer(response.status, response.headers, content, time.monotonic() - began)
    finally:
        connection.close()


def send_raw(host: str, request: bytes, *, may_leak: bool = False) -> bytes:
    """These exact bytes, and whatever comes back until the other side closes.

    No answer may have a planted secret in it, unless it `may_leak`.
    """
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    if not may_leak:
        refuse_secrets("an answer", answer)
    return answer


def status_of(response: bytes) -> int:
    """The status of a raw response."""
    return int(response.split(b" ", 2)[1])


def fetch_all(
    urls: Iterable[str], headers: Mapping[str, str] | None = None, *, at_once: int = 16
) -> list[Answer]:
    """All of these, `at_once` side by side."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda url: fetch(url, headers or {}), urls))


def wait_until(condition: Callable[[], object], what: str, retries: float = PATIENCE) -> None:
    """Wait for a condition; fail with `what` was waited for."""
    deadline = time.monotonic() + retries
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def list_tree(folder: Path) -> list[str]:
    """Every path below a folder; SQLite's scratch files, which come and go, left out."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(path for path in found if not path.endswith(("-wal", "-shm")))
