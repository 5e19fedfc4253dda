"""Passing chunks from the network to the disk, so that both can work at the same time."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Self

from registry.upstream.contract import Chunk, Incoming
from registry.upstream.download_budget import DEPTH

PORTION = 1024 * 1024  # bytes of a full batch, which is written at once
INTERVAL = 0.02  # seconds between two smaller batches; the first is returned at once


class Batcher:
    """Reads a stream in a task; `take` returns the chunks that were received since the last call.

    The first chunk is returned at once. More is read when `take` is called again: clients wait for
    the first chunk, and the event loop should do nothing else. Each later batch has `PORTION` bytes
    or more, or the chunks of `INTERVAL` seconds. So a thread writes many chunks at a time, and
    readers are not woken for each chunk. `Incoming` bytes are returned alone, after those before
    them; the next call of `take` says that they have been received.
    """

    def __init__(
        self, chunks: AsyncGenerator[Chunk, None], find_most: Callable[[], int] = lambda: DEPTH
    ) -> None:
        """`find_most` returns how many bytes may be received and not written yet."""
        self._chunks = chunks
        self._find_most = find_most
        self._waiting: list[bytes] = []
        self._incoming: Incoming | None = None
        self._is_receiving = False  # whether the caller has got `_incoming`
        self._depth = 0
        self._arrived = asyncio.Event()
        self._filled = asyncio.Event()
        self._is_flowing = asyncio.Event()  # set when the first chunk has been dealt with
        self._ready_at = 0.0
        self._taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    if not isinstance(chunk, bytes):
                        await self._hand_over(chunk)
                        continue
                    self._waiting.append(chunk)
                    self._depth += len(chunk)
                    self._arrived.set()
                    if self._depth >= PORTION:
                        self._filled.set()
                    await self._is_flowing.wait()
                    while self._depth >= self._find_most():
                        self._filled.set()
                        self._taken.clear()
                        await self._taken.wait()
        finally:
            self._arrived.set()
            self._filled.set()

    async def _hand_over(self, incoming: Incoming) -> None:
        """Let the caller receive bytes, and wait until it has."""
        self._incoming = incoming
        self._arrived.set()
        self._filled.set()
        while self._incoming is not None:
            self._taken.clear()
            await self._taken.wait()

    async def take(self) -> list[bytes] | Incoming:
        """Wait for chunks and return them all; an empty list means the end of the stream.

        Raises:
            Exception: the error of the stream, after all chunks before the error were returned.
        """
        if self._task is None:
            return []
        if self._ready_at:
            self._is_flowing.set()
        if self._is_receiving:
            self._is_receiving, self._incoming = False, None
            self._taken.set()
        if not self._waiting and self._incoming is None and not self._task.done():
            self._arrived.clear()
            await self._arrived.wait()
        loop = asyncio.get_running_loop()
        if self._ready_at and not self._task.done():
            await self._wait_for_portion()
        self._filled.clear()
        self._ready_at = loop.time() + INTERVAL
        if not self._waiting and self._incoming is not None:
            self._is_receiving = True
            return self._incoming
        batch, self._waiting, self._depth = self._waiting, [], 0
        self._taken.set()
        if not batch:
            await self._task
        return batch

    async def _wait_for_portion(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._ready_at):
                await self._filled.wait()
