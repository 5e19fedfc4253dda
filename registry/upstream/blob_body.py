"""Reading the body of one answer: its wanted bytes are measured, and come no faster than allowed.

A caller that can receive bytes in a thread gets the rest of a large body as `Incoming`, unless the
rate is limited: then the event loop waits after each chunk (decision records 0034 and 0035).
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from registry.errors import UpstreamUnreachable
from registry.upstream.contract import Chunk
from registry.upstream.direct_body import DIRECT, LEAST
from registry.upstream.meter import Stream
from registry.upstream.pacing import Pace
from registry.upstream.request import Answer
from registry.upstream.wanted_bytes import WantedBytes

# Yields the rest of a body, which has so many bytes; the function says whether a thread may work.
Receive = Callable[[int, Callable[[], bool]], AsyncGenerator[Chunk, None]]


async def read_body(
    answer: Answer, wanted: WantedBytes, stream: Stream, pace: Pace
) -> AsyncGenerator[Chunk, None]:
    """Yield the wanted bytes of a body; `stream` measures them.

    Raises:
        UpstreamUnreachable: the body has ended early.
        WrongSize: it has more bytes than were asked for.
    """
    has_begun = False  # a client waits for the first bytes, so that no thread is used for them
    # A body that ends at `stop` is read to its end: the connection stays usable.
    async for piece in answer.response.aiter_raw():
        stream.receive(len(piece))
        if chunk := wanted.take(piece, answer.origin):
            has_begun = True
            pace.charge(len(chunk))
            yield chunk  # at once: it must not be lost if somebody gives up waiting
            await pace.wait()
        stream.resume()
        if wanted.is_longer and wanted.is_done:
            break
        left = 0 if wanted.stop is None else wanted.stop - wanted.offset
        if has_begun and left >= LEAST and wanted.is_for_thread and not pace.is_limited:
            async with aclosing(_receive_rest(answer, wanted, left, stream, pace)) as chunks:
                async for received in chunks:
                    yield received
    if wanted.is_cut_off:
        raise UpstreamUnreachable(answer.origin, "ended the body early")


async def _receive_rest(
    answer: Answer, wanted: WantedBytes, left: int, stream: Stream, pace: Pace
) -> AsyncGenerator[Chunk, None]:
    """Yield the rest of a body, `left` bytes, if its connection can be read in a thread."""
    receive: Receive | None = answer.response.extensions.get(DIRECT)
    if receive is None:
        return

    def may_use_thread() -> bool:
        return wanted.in_thread() and not pace.is_limited

    async with aclosing(receive(left, may_use_thread)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, bytes):
                stream.receive(len(chunk))
                pace.charge(len(wanted.take(chunk, answer.origin)))
                yield chunk
            else:
                stream.hand_over()
                yield chunk
                wanted.offset += len(chunk)
                stream.take_back(len(chunk), chunk.waited)
                pace.charge(len(chunk))
            await pace.wait()
            stream.resume()
