"""The rest of a large body, which a thread receives straight from its connection.

The event loop gives the thread work of some milliseconds at a time. In between it counts what came,
and pauses or cancels the download. It also waits for a connection that is silent, so that silent
connections need no thread (decision record 0035).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

from registry.upstream.contract import Chunk
from registry.upstream.raw_connection import RawConnection

DIRECT = "direct"  # the extension of a response with the way to receive its body in a thread
LEAST = 4 * 1024 * 1024  # bytes of a rest that a thread receives; more than is ever read ahead
BUFFER = 512 * 1024  # bytes that are received, hashed and written at a time at most
STEP = 32 * 1024 * 1024  # bytes after which the thread returns to the event loop
DRY = 0.001  # seconds without a byte after which it returns
SLICE = 0.02  # seconds over which its speed is measured
FEW = 512 * 1024  # bytes in such a time: with fewer, a thread would mostly wait
GATHER = 0.01  # seconds that the event loop waits for more bytes then

ENDED = "it ended before the end of the body"


class BodyBroken(Exception):
    """The connection ended or broke before the end of the body; the message says how."""


class DirectBody:
    """The last bytes of a body: `buffered` ones, and `left` ones that come over `connection`.

    Each byte has to come within `stall` seconds. While `in_thread` returns false, the event loop
    receives them. `finish` is called after the last byte, with whether the connection can be used
    again: nothing may follow the body on it.
    """

    def __init__(
        self,
        connection: RawConnection,
        buffered: bytes,
        left: int,
        *,
        stall: float,
        in_thread: Callable[[], bool],
        finish: Callable[[bool], None],
    ) -> None:
        self._connection = connection
        self._buffered = buffered
        self._left = left
        self._stall = stall
        self._in_thread = in_thread
        self._finish = finish
        self._readable = asyncio.Event()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield the bytes: those that are buffered, and then steps for a thread, or more bytes.

        Raises:
            BodyBroken: the connection ended or broke.
            TimeoutError: no byte has come for too long.
        """
        is_whole = False
        try:
            if self._buffered:
                yield self._buffered
            buffers = memoryview(bytearray(BUFFER)), memoryview(bytearray(BUFFER))
            while self._left:
                if not self._in_thread():
                    yield await self._receive(buffers[0][: self._left])
                    continue
                step = _Step(self._connection, buffers, self._left)
                yield step
                if not step.is_over:
                    raise RuntimeError("the bytes were not received")
                self._left -= len(step)
                if step.failure is not None:
                    raise BodyBroken(str(step.failure)) from step.failure
                if self._left and step.is_slow:
                    await self._wait_for_bytes(len(step))
            is_whole = True
        finally:
            is_usable = is_whole and self._connection.is_quiet()
            self._connection.close()
        self._finish(is_usable)

    async def _receive(self, view: memoryview) -> bytes:
        """Receive some bytes on the event loop; `view` is memory for them."""
        while True:
            try:
                count = self._connection.receive(view)
            except BlockingIOError:
                await self._wait_for_bytes(0)
            except OSError as error:
                raise BodyBroken(str(error)) from error
            else:
                break
        if not count:
            raise BodyBroken(ENDED)
        self._left -= count
        return bytes(view[:count])

    async def _wait_for_bytes(self, received: int) -> None:
        """Wait until a slow connection has more bytes, on the event loop."""
        if received:
            await asyncio.sleep(GATHER)
        loop, descriptor = asyncio.get_running_loop(), self._connection.fileno()
        self._readable.clear()
        loop.add_reader(descriptor, self._readable.set)
        try:
            async with asyncio.timeout(self._stall):
                await self._readable.wait()
        finally:
            loop.remove_reader(descriptor)


class _Step:
    """What a thread receives before it returns to the event loop; see `Incoming`.

    It receives into two buffers in turn, since the former piece may still be used.
    """

    def __init__(
        self, connection: RawConnection, buffers: tuple[memoryview, memoryview], left: int
    ) -> None:
        self.failure: Exception | None = None
        self.is_over = False  # whether a thread has done its work
        self.is_slow = False  # whether it would mostly have waited
        self.waited = 0.0
        self._connection = connection
        self._buffers = buffers
        self._most = min(left, STEP)
        self._received = 0

    def __len__(self) -> int:
        return self._received

    def receive(self, sink: Callable[[memoryview], None], seconds: float) -> None:
        """See `Incoming.receive`."""
        self.is_over = True
        now = time.monotonic()
        until, measured_at, before = now + seconds, now + SLICE, 0
        buffer, other = self._buffers
        while self._received < self._most and now < until:
            try:
                count = self._connection.receive(buffer[: self._most - self._received])
            except BlockingIOError:
                if self._connection.wait(DRY):
                    continue
                self.is_slow = self._received - before < FEW
                return
            except OSError as error:
                self.failure = error
                return
            if not count:
                self.failure = EOFError(ENDED)
                return
            self._received += count
            self.waited += time.monotonic() - now
            sink(buffer[:count])
            buffer, other = other, buffer
            now = time.monotonic()
            if now >= measured_at:
                if self._received - before < FEW:
                    self.is_slow = True
                    return
                measured_at, before = now + SLICE, self._received
