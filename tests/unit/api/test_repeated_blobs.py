"""Laws of blobs that are sent without aiohttp: the same bytes, also to slow or leaving clients."""

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from registry.api import socket_writing
from tests.unit.api.blob_site import SIZE, BlobSite, Client, open_blob_site

MIB = 1 << 20


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BlobSite]:
    async with open_blob_site(tmp_path) as site:
        yield site


def find_answers(lines: list[EventDict]) -> list[EventDict]:
    return [line for line in lines if line["event"] == "request"]


async def wait_until_closed(site: BlobSite) -> None:
    async with asyncio.timeout(20):
        while site.is_open():  # noqa: ASYNC110 (nothing notifies the test)
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("part", "start", "stop"),
    [
        ("5-5", 5, 6),
        ("0-", 0, SIZE),
        (f"{SIZE - 3}-{SIZE + 10}", SIZE - 3, SIZE),
        (f"{MIB}-{2 * MIB - 1}", MIB, 2 * MIB),
        ("", 0, SIZE),
    ],
)
async def test_parts_and_the_whole_are_sent(
    site: BlobSite, part: str, start: int, stop: int
) -> None:
    """Each part has its bytes; the handler is not asked again; it is logged and counted."""
    client = await site.warm()
    with capture_logs() as lines:
        client.ask(part)
        assert await client.read() == (206 if part else 200, site.content[start:stop])
        await wait_until_closed(site)

    assert (site.asked, site.reopened, site.used) == (2, 1, 1)
    assert [(line["status"], line["bytes"], line["client"]) for line in find_answers(lines)] == [
        (206 if part else 200, stop - start, "127.0.0.1")
    ]
    labels = {"kind": "other", "status": "206" if part else "200", "origin": "hit"}
    assert site.metrics.registry.get_sample_value("entrepot_requests_total", labels) == 2
    sent = site.metrics.registry.get_sample_value(
        "entrepot_sent_bytes_total", {"kind": "other", "origin": "hit"}
    )
    assert sent == 10 + SIZE + stop - start


@pytest.mark.parametrize("part", [f"{SIZE}-", "5-4", "0-0,2-2", "-5", "x"])
async def test_other_ranges_are_left_to_aiohttp(site: BlobSite, part: str) -> None:
    """What is no single part of the blob with a start gets aiohttp's answer."""
    client = await site.warm()
    client.ask(part)
    await client.read()
    assert (site.asked, site.used) == (3, 0)  # the answer of aiohttp notes the use


async def test_a_blob_that_may_not_be_sent_is_left_to_aiohttp(site: BlobSite) -> None:
    """The right to send it is asked for each time; then the next request is repeated again."""
    client = await site.warm()
    site.allow(is_allowed=False)
    client.ask("1-2")
    assert (await client.read())[0] == 206
    assert (site.asked, site.reopened) == (3, 0)
    site.allow(is_allowed=True)
    client.ask("1-2")
    assert await client.read() == (206, site.content[1:3])
    assert (site.asked, site.reopened) == (3, 1)


async def test_parts_share_an_open_file_until_the_catalog_changes(site: BlobSite) -> None:
    """Opening it for each part would take longer than all else; a change is seen at once."""
    client = await site.warm()
    for number in range(10):
        client.ask(f"{number}-{number}")
        assert await client.read() == (206, site.content[number : number + 1])
    assert (site.asked, site.reopened) == (2, 1)
    site.allow(is_allowed=False)
    client.ask("1-2")
    assert (await client.read())[0] == 206
    assert (site.asked, site.reopened) == (3, 1)
    await wait_until_closed(site)


async def test_the_kernel_takes_more_of_a_file(site: BlobSite) -> None:
    """So most parts need one call; before the first blob of a connection, it takes less."""
    option = socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT
    client = await site.warm()
    taken = site.connections[-1].kernel_socket
    assert taken.getsockopt(*option) != socket_writing.UNSENT
    client.ask("1-2")
    await client.read()
    assert taken.getsockopt(*option) == socket_writing.UNSENT


async def test_requests_that_come_meanwhile_wait(site: BlobSite) -> None:
    """A client that asks on while it is sent a blob gets all answers, in the order asked."""
    await site.warm()
    client = await site.connect()
    client.ask()
    await wait_for_sending(site)
    client.ask("7-9")
    await client.writer.drain()
    await asyncio.sleep(0.01)
    assert await client.read() == (200, site.content)
    assert await client.read() == (206, site.content[7:10])
    client.ask("1-1")
    assert await client.read() == (206, site.content[1:2])


async def wait_for_sending(site: BlobSite) -> None:
    """Wait until a blob is being sent that the client does not read."""
    async with asyncio.timeout(10):
        while not (site.reopened and site.is_open()):  # noqa: ASYNC110 (nothing notifies the test)
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    assert site.connections[-1].idle_since is None
    assert site.connections[-1].has_unsent


async def test_a_client_that_ends_its_side_gets_the_rest(site: BlobSite) -> None:
    """Who sends nothing more can still read; then the connection is closed."""
    await site.warm()
    client = await site.connect()
    client.ask()
    await wait_for_sending(site)
    client.writer.write_eof()
    assert await client.read() == (200, site.content)
    assert await asyncio.wait_for(client.reader.read(), 10) == b""


async def test_a_client_that_leaves_is_one_line(site: BlobSite) -> None:
    """It is logged as 499 with what was sent, and the file is closed."""
    await site.warm()
    with capture_logs() as lines:
        client = await site.connect()
        client.ask()
        await wait_for_sending(site)
        client.writer.transport.abort()
        await wait_until_closed(site)

    (line,) = find_answers(lines)
    assert (line["status"], line["size"], line["log_level"]) == (499, SIZE, "info")
    assert 0 < line["bytes"] < SIZE


async def test_a_client_that_is_cut_is_one_line(site: BlobSite) -> None:
    """So is one that the server cuts, because it does not read."""
    await site.warm()
    with capture_logs() as lines:
        client = await site.connect()
        client.ask()
        await wait_for_sending(site)
        site.connections[-1].cut()
        await wait_until_closed(site)

    assert [line["status"] for line in find_answers(lines)] == [499]
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client.read()


async def test_the_end_of_the_server_waits(site: BlobSite) -> None:
    """A worker that drains ends a connection only when its blob was sent, and then at once."""
    idle = await site.warm()
    client = await site.connect()
    client.ask()
    await wait_for_sending(site)
    site.server.pre_shutdown()
    ending = asyncio.create_task(site.server.shutdown(30))
    assert await client.read() == (200, site.content)
    await asyncio.wait_for(ending, 10)
    for each in (idle, client):
        assert await asyncio.wait_for(each.reader.read(), 10) == b""


async def test_the_end_of_the_server_does_not_wait_for_ever(site: BlobSite) -> None:
    """A client that does not read is cut when the time to drain is over."""
    await site.warm()
    client = await site.connect()
    client.ask()
    await wait_for_sending(site)
    site.server.pre_shutdown()
    began = time.monotonic()
    await site.server.shutdown(0.2)
    assert time.monotonic() - began < 5
    await wait_until_closed(site)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client.read()


def cut_file(site: BlobSite, _: pytest.MonkeyPatch) -> None:
    os.truncate(site.path, 3 * MIB)


def break_disk(_: BlobSite, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(socket_writing.os, "sendfile", refuse)


@pytest.mark.parametrize("harm", [cut_file, break_disk])
async def test_a_body_that_ends_early_is_cut(
    site: BlobSite, harm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No client takes a part for the whole; the log says why."""
    client: Client = await site.warm()
    harm(site, monkeypatch)
    with capture_logs() as lines:
        client.ask()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.read()
        await wait_until_closed(site)
    (line,) = find_answers(lines)
    assert line["failure"]
    assert line["bytes"] < SIZE


async def test_what_is_remembered_is_bounded(site: BlobSite) -> None:
    """The requests that were not repeated for the longest time are forgotten first."""
    client = await site.warm()
    site.cache.blobs._most = 3
    for number in range(5):
        client.writer.write(
            b"GET /blob?%d HTTP/1.1\r\nHost: a\r\nRange: bytes=1-1\r\n\r\n" % number
        )
        await client.read()
    assert len(site.cache.blobs) == 3
    client.writer.write(b"GET /blob?4 HTTP/1.1\r\nHost: a\r\nRange: bytes=1-1\r\n\r\n")
    await client.read()
    assert site.reopened == 1


async def test_blobs_that_are_sent_count_as_requests(tmp_path: Path) -> None:
    """A client that does not read has one request in flight, which aiohttp then counts too."""
    async with open_blob_site(tmp_path, most_requests=1) as site:
        client = await site.warm()
        slow = await site.connect(window=4096)
        slow.ask()
        await slow.reader.readuntil(b"\r\n\r\n")
        asked = site.asked

        for part in ("0-9", ""):
            client.ask(part)
            status, body = await client.read()
            assert (status, b"limits.requests_per_address" in body) == (429, True)
        assert (site.asked, site.used) == (asked, 1)

        slow.writer.transport.abort()
        status = 429
        async with asyncio.timeout(20):
            while status == 429:
                client.ask("0-9")
                status, _ = await client.read()
        assert status == 206
