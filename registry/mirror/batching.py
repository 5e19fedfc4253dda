"""Chunks from the network to the disk, so that neither waits for the other's last piece."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Self

DEPTH = 4 * 1024 * 1024  # bytes received ahead of the disk
PORTION = 1024 * 1024  # bytes worth a thread hop, and waking every reader
LINGER = 0.02  # seconds between two smaller portions; the first goes at once


class Batcher:
    """Pulls a stream of chunks in a task; `take` gives all that has come since.

    The first chunk is given at once, and then batches of a `PORTION` or of what has come within
    `LINGER`: one thread hop then writes many chunks, and a crowd of readers is woken seldom enough
    to keep up with the link.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._waiting: list[bytes] = []
        self._depth = 0
        self._came = asyncio.Event()
        self._filled = asyncio.Event()
        self._ready_at = 0.0
        self._taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._pull())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _pull(self) -> None:
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    self._waiting.append(chunk)
                    self._depth += len(chunk)
                    self._came.set()
                    if self._depth >= PORTION:
                        self._filled.set()
                    while self._depth >= DEPTH:
                        self._taken.clear()
                        await self._taken.wait()
        finally:
            self._came.set()
            self._filled.set()

    async def take(self) -> list[bytes]:
        """Wait for chunks and return them all; empty at the end.

        Raises:
            Exception: what the stream raised, after everything before it was taken.
        """
        if self._task is None:
            return []
        if not self._waiting and not self._task.done():
            self._came.clear()
            await self._came.wait()
        loop = asyncio.get_running_loop()
        if self._ready_at and not self._task.done():
            await self._linger()
        self._filled.clear()
        self._ready_at = loop.time() + LINGER
        batch, self._waiting, self._depth = self._waiting, [], 0
        self._taken.set()
        if not batch:
            await self._task
        return batch

    async def _linger(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._ready_at):
                await self._filled.wait()
