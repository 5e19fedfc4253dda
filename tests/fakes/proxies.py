"""Servers between a mirror and its upstream, or its clients: proxies, a TLS front, a recorder.

    with HttpProxy() as proxy:
        ...
        assert proxy.carried == {"127.0.0.1:80"}

`carried` are the addresses to which connections were opened, and `ports` the proxy's own ports of
these connections. With `ports` a test finds the requests in a journal that came through the proxy.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.fakes.upstream.engine import Engine

HOST = "127.0.0.1"
PIECE = 256 * 1024


class Relay:
    """A port of the loopback whose connections are passed on to another address."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._engine = Engine()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.carried: set[str] = set()
        self.ports: set[int] = set()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open the requested connection, and note it."""
        reader, writer = await asyncio.open_connection(host, port)
        self._open.add(writer)
        self.carried.add(f"{host}:{port}")
        self.ports.add(writer.get_extra_info("sockname")[1])
        return reader, writer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.handle(reader, writer)
        writer.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        # Twice, because a connection accepted just now appears a few turns of the loop later.
        for _ in range(2):
            for writer in self._open:
                writer.transport.abort()
            await asyncio.sleep(0.02)

    def __enter__(self) -> Self:
        self._engine.start()
        self._engine.call(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engine.call(self._close())
        self._engine.stop()


async def splice(
    left: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    right: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Pass bytes in both directions until one side ends."""
    ways = [
        asyncio.create_task(_pump(left[0], right[1])),
        asyncio.create_task(_pump(right[0], left[1])),
    ]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    left[1].close()
    right[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()


async def read_head(reader: asyncio.StreamReader) -> tuple[str, list[str]]:
    """Read the head of a request; return its first line and the lines of its headers."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    return line, fields


class Recorder(Relay):
    """Passes connections on to one server, and keeps what clients have sent in `received`."""

    def __init__(self, target: str) -> None:
        """`target` is host:port."""
        super().__init__()
        self._target = target
        self.received = bytearray()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        host, _, port = self._target.rpartition(":")
        server_reader, server_writer = await self.connect(host, int(port))
        answering = asyncio.create_task(_pump(server_reader, writer))
        try:
            while piece := await reader.read(PIECE):
                self.received += piece
                server_writer.write(piece)
                await server_writer.drain()
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            server_writer.close()


class HttpProxy(Relay):
    """Forwards requests in absolute form, and tunnels CONNECT; other requests get a 400.

    `hosts` has addresses for names that no DNS has: `{"registry.example:443": "127.0.0.1:8443"}`.
    """

    def __init__(self, hosts: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.logins: list[str] = []
        self._hosts = hosts or {}

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._hosts.get(f"{host}:{port}", f"{host}:{port}")
        name, _, number = address.rpartition(":")
        return await super().connect(name, int(number))

    @property
    def url(self) -> str:
        """The URL of the proxy for a client's settings."""
        return f"http://{self.host}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, fields = await read_head(reader)
        method, target, _ = line.split(" ")
        self.logins += [each for each in fields if each.lower().startswith("proxy-authorization:")]
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            if not port.isdecimal():
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return
            onward = await self.connect(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await splice((reader, writer), onward)
            return
        await self._forward(reader, writer, line, fields)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        line: str,
        fields: list[str],
    ) -> None:
        method, target, version = line.split(" ")
        url = urlsplit(target)
        if url.scheme != "http" or not url.hostname:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        onward = await self.connect(url.hostname, url.port or 80)
        # One request per connection, so that nothing behind it needs to be understood.
        passed = [each for each in fields if not each.lower().startswith(("connection:", "proxy-"))]
        path = target.removeprefix(f"{url.scheme}://{url.netloc}") or "/"
        head = [f"{method} {path} {version}", *passed, "Connection: close", "", ""]
        onward[1].write("\r\n".join(head).encode("latin-1"))
        await splice((reader, writer), onward)


class Socks5Proxy(Relay):
    """Opens the connections that SOCKS5 clients ask for, without a login (RFC 1928)."""

    @property
    def url(self) -> str:
        """The URL of the proxy for a client's settings."""
        return f"socks5://{self.host}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        _, command, _, kind = await reader.readexactly(4)
        if kind == 1:
            host = ".".join(str(byte) for byte in await reader.readexactly(4))
        else:
            (length,) = await reader.readexactly(1)
            host = (await reader.readexactly(length)).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        if command != 1:
            writer.write(b"\x05\x07\x00\x01" + bytes(6))
            return
        onward = await self.connect(host, port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await splice((reader, writer), onward)


class TlsFront(Relay):
    """A server that ends TLS and passes the plain bytes on to a port of the loopback."""

    def __init__(self, tls: ssl.SSLContext, target: int) -> None:
        super().__init__(tls)
        self._target = target

    @property
    def url(self) -> str:
        """The https URL of the server behind this front."""
        return f"https://{self.host}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await splice((reader, writer), await self.connect(HOST, self._target))
