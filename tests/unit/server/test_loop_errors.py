"""Laws of the errors that the event loop reports."""

import asyncio
import logging
import socket

import pytest

from registry.server.loop_errors import limit_reports


async def test_a_second_end_of_a_connection_is_not_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All other errors are."""
    loop = asyncio.get_running_loop()
    limit_reports(loop)
    ours, theirs = socket.socketpair()
    with theirs, caplog.at_level(logging.ERROR, "asyncio"):
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        transport.close()
        loop.call_soon(transport._call_connection_lost, None)  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert caplog.records == []

        loop.call_soon(int, "no number")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [each.levelname for each in caplog.records] == ["ERROR"]
