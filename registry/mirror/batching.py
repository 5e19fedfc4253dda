"""Passing chunks from the network to the disk, so that neither waits for the other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Self

DEPTH = 4 * 1024 * 1024  # bytes received ahead of the disk
PORTION = 1024 * 1024  # bytes for which a thread is used, and every reader is woken
INTERVAL = 0.02  # seconds between two smaller batches; the first comes at once


class Batcher:
    """Reads a stream of chunks in a task; `take` returns all that have come since the last call.

    The first chunk is returned at once. After that a batch has a `PORTION`, or what has come within
    an `INTERVAL`: so a thread writes many chunks at a time, and many readers are not woken too
    often to keep up with the link.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._waiting: list[bytes] = []
        self._depth = 0
        self._arrived = asyncio.Event()
        self._filled = asyncio.Event()
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
                    self._waiting.append(chunk)
                    self._depth += len(chunk)
                    self._arrived.set()
                    if self._depth >= PORTION:
                        self._filled.set()
                    while self._depth >= DEPTH:
                        self._taken.clear()
                        await self._taken.wait()
        finally:
            self._arrived.set()
            self._filled.set()

    async def take(self) -> list[bytes]:
        """Wait for chunks and return them all; empty at the end.

        Raises:
            Exception: what the stream raised, after everything before it was taken.
        """
        if self._task is None:
            return []
        if not self._waiting and not self._task.done():
            self._arrived.clear()
            await self._arrived.wait()
        loop = asyncio.get_running_loop()
        if self._ready_at and not self._task.done():
            await self._wait_for_portion()
        self._filled.clear()
        self._ready_at = loop.time() + INTERVAL
        batch, self._waiting, self._depth = self._waiting, [], 0
        self._taken.set()
        if not batch:
            await self._task
        return batch

    async def _wait_for_portion(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._ready_at):
                await self._filled.wait()
