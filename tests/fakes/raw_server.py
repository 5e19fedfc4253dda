"""A server that sends any bytes that a test wants, also those that are not HTTP.

    with RawServer(answer) as server:
        ...

`answer` gets each request and yields what is sent; the connection is closed after that.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes.proxies import Relay, read_head

CLOSE = "Connection: close"


@dataclass(frozen=True)
class RawRequest:
    """The head of a request; the names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)


RawAnswer = Callable[[RawRequest], AsyncIterator[bytes]]


class RawServer(Relay):
    """Answers on a port of the loopback; `requests` are those that came."""

    def __init__(self, answer: RawAnswer) -> None:
        super().__init__()
        self._answer = answer
        self.requests: list[RawRequest] = []

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://{self.host}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, fields = await read_head(reader)
        method, target, _ = line.split(" ")
        pairs = (each.partition(":") for each in fields)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        request = RawRequest(method, target, headers)
        self.requests.append(request)
        async for piece in self._answer(request):
            writer.write(piece)
            await writer.drain()


def write_answer(
    body: bytes = b"", *headers: str, status: str = "200 OK", length: int | str | None = -1
) -> bytes:
    """Return an answer; `length` is its Content-Length (-1: the right one, None: none)."""
    lines = [f"HTTP/1.1 {status}", CLOSE, *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body
