"""A client that sends requests without any change and follows no redirects."""

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.upstream import FakeUpstream


@dataclass(frozen=True)
class Answer:
    """A response that was received completely."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body as parsed JSON."""
        return json.loads(self.body)


def ask(
    url: str, *, method: str = "GET", timeout: float = 5, body: str | None = None, **headers: str
) -> Answer:
    """Send one request on its own connection, with exactly this target; return the answer."""
    parts = urlsplit(url)
    target = url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def basic(user: str, password: str) -> str:
    """The value of an `Authorization` header with a user name and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def get_token(hub: FakeUpstream, repository: str, **headers: Any) -> str:
    """The value of an `Authorization` header with a new token for the repository."""
    answer = ask(f"{hub.realm}?service=x&scope=repository:{repository}:pull", **headers)
    return f"Bearer {answer.json()['token']}"


def pull(
    hub: FakeUpstream, repository: str, path: str, *, method: str = "GET", **headers: Any
) -> Answer:
    """Send a request to the registry with a new token; redirects are not followed."""
    token = get_token(hub, repository)
    return ask(f"{hub.url}/v2/{repository}/{path}", method=method, Authorization=token, **headers)


def locate(hub: FakeUpstream, repository: str, digest: str) -> str:
    """Return the signed URL of a blob."""
    return pull(hub, repository, f"blobs/{digest}").headers["Location"]
