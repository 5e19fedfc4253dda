"""Laws of the body of a blob: its pieces arrive in order, and a wrong length is an error."""

import asyncio
import errno
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from registry.api.sendfile import Piece, send_body
from registry.api.socket_writing import SentBytes
from tests.harness.open_port import open_port

CONTENT = bytes(range(256)) * 4096  # more than the buffer of a socket holds


async def give(*pieces: Piece) -> AsyncGenerator[Piece, None]:
    for piece in pieces:
        yield piece


@asynccontextmanager
async def serve(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    async with open_port(web.Server(handler, access_log=None)) as port:
        yield str(port)


async def pull(port: str) -> bytes:
    """Return everything that one request gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    try:
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


@pytest.mark.parametrize("is_growing", [False, True])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_pieces_arrive_in_order(tmp_path: Path, is_growing: bool, is_chunked: bool) -> None:
    """Bytes and slices of a file are one body, whether it grows, and whether it is chunked."""
    (tmp_path / "file").write_bytes(CONTENT)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        if is_chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(CONTENT) + 4
        with (tmp_path / "file").open("rb") as file:
            slices = (file.fileno(), 0, 10), (file.fileno(), 10, len(CONTENT))
            pieces = give(b"ab", *slices, b"cd")
            await send_body(request, response, pieces, SentBytes(), is_growing=is_growing)
        return response

    async with serve(answer) as port:
        _, _, body = (await pull(port)).partition(b"\r\n\r\n")
    if not is_chunked:
        assert body == b"ab" + CONTENT + b"cd"
    else:
        assert body.startswith(b"2\r\nab\r\na\r\n")
        assert body.endswith(b"2\r\ncd\r\n0\r\n\r\n")


@pytest.mark.parametrize("is_growing", [False, True])
@pytest.mark.parametrize("announced", [3, 5])
async def test_a_wrong_length_is_an_error(announced: int, is_growing: bool) -> None:
    """A body that is shorter or longer than its `Content-Length` raises EOFError."""
    raised = asyncio.get_running_loop().create_future()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = announced
        try:
            await send_body(request, response, give(b"four"), SentBytes(), is_growing=is_growing)
        except EOFError as error:
            raised.set_result(error)
            request.transport.abort()
        return response

    async with serve(answer) as port:
        with suppress(ConnectionError):
            await pull(port)
        assert str(announced) in str(await asyncio.wait_for(raised, 30))


async def test_the_pieces_are_closed_when_the_client_leaves(tmp_path: Path) -> None:
    """When the client leaves in the middle, the generator of the pieces is closed at once."""
    (tmp_path / "file").write_bytes(CONTENT)
    closed = asyncio.Event()

    async def give_for_ever(descriptor: int) -> AsyncGenerator[Piece, None]:
        try:
            while True:
                yield descriptor, 0, len(CONTENT)
        finally:
            closed.set()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000 * len(CONTENT)
        with (tmp_path / "file").open("rb") as file:
            pieces = give_for_ever(file.fileno())
            await send_body(request, response, pieces, SentBytes(), is_growing=False)
        return response

    async with serve(answer) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readexactly(len(CONTENT))
        writer.close()
        await asyncio.wait_for(closed.wait(), 30)


async def test_a_client_that_ends_its_side_gets_all(tmp_path: Path) -> None:
    """It reads more slowly than the file can be read; the connection stays until the last byte."""
    content = CONTENT * 16
    (tmp_path / "file").write_bytes(content)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(content)
        with (tmp_path / "file").open("rb") as file:
            pieces = give((file.fileno(), 0, 7), (file.fileno(), 7, len(content)))
            await send_body(request, response, pieces, SentBytes(), is_growing=True)
        return response

    async with serve(answer) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        await asyncio.sleep(0.1)
        assert await asyncio.wait_for(reader.readexactly(len(content)), 30) == content
        writer.close()


async def test_an_unreadable_disk_is_no_crash_where_bytes_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS and in chunks too, EIO cuts the connection; it is no error of this program."""
    (tmp_path / "file").write_bytes(CONTENT)
    raised: list[BaseException] = []

    def refuse(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.pread", refuse)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        with (tmp_path / "file").open("rb") as file:
            pieces = give((file.fileno(), 0, len(CONTENT)))
            try:
                await send_body(request, response, pieces, SentBytes(), is_growing=False)
            except EOFError as error:
                raised.append(error)
                assert request.transport is not None
                request.transport.abort()
        return response

    async with serve(answer) as port:
        with suppress(ConnectionError):
            await pull(port)
    assert [str(each) for each in raised] == [
        "the file cannot be sent ([Errno 5] Input/output error)"
    ]
