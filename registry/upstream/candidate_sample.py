"""The downloads that measure a candidate: a range, and a sample at one and at eight connections."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import httpx

from registry.errors import BlobUnknown, Unknown, UpstreamError, UpstreamFaulty, UpstreamUnreachable
from registry.oci.byte_ranges import Span, parse_content_range
from registry.upstream.candidate import CONNECTIONS, Candidate, Layer, Sample, Step
from registry.upstream.candidate_steps import explain
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import RangeRefused
from registry.upstream.request import Answer, Request, is_compressed
from registry.upstream.statuses import Resource

SAMPLE = 16 * 1024**2  # bytes of the layer that are downloaded at most
BLOCK = 256 * 1024  # bytes that are compared between candidates
MOST_BREAKS = 4  # of one connection, which is continued by a range after each
_RANGE = Span(1, 1025)  # bytes that the test of ranges asks for


@dataclass(slots=True)
class _Piece:
    """One connection's part of a sample; the bytes before `offset` have come."""

    span: Span
    offset: int


@dataclass(slots=True)
class _Transfer:
    """A running download of the sample `content` in pieces, and when bytes came."""

    content: bytearray
    pieces: list[_Piece]
    began: float
    first: float | None = None
    last: float = 0.0

    @property
    def received(self) -> int:
        """How many bytes have come."""
        return sum(piece.offset - piece.span.start for piece in self.pieces)


class CandidateSample:
    """Downloads a sample of `layer` from one candidate, whose requests go through `endpoint`.

    `differs` are the images of which it says another digest than is taken for right.
    """

    def __init__(
        self,
        candidate: Candidate,
        endpoint: Endpoint,
        layer: Layer,
        clock: Callable[[], float],
        differs: Sequence[str] = (),
    ) -> None:
        self._differs = differs
        self._candidate = candidate
        self._endpoint = endpoint
        self._layer = layer
        self._clock = clock
        missing = partial(BlobUnknown, layer.repository, str(layer.digest))
        path = f"{layer.repository}/blobs/{layer.digest}"
        self._request = Request("GET", path, layer.repository, missing, Resource.BLOB)

    async def run(self, seconds: float) -> None:
        """Take the steps until one fails; each download takes at most a third of `seconds`."""
        candidate, third = self._candidate, seconds / 3
        began = self._clock()
        await self._check_range()
        candidate.seconds[Step.RANGE] = self._clock() - began
        if candidate.failed is None:
            await self._download(Step.DOWNLOAD, 1, third)
        if candidate.failed is None and candidate.has_ranges:
            await self._download(Step.TOGETHER, CONNECTIONS, third)

    async def _check_range(self) -> None:
        candidate = self._candidate
        candidate.running = Step.RANGE
        span = Span(min(_RANGE.start, self._layer.size - 1), min(_RANGE.stop, self._layer.size))
        try:
            async with self._endpoint.request(self._ask(span)) as answer:
                candidate.has_ranges = has_range(answer.response, span, self._layer.size)
        except RangeRefused as error:
            candidate.has_ranges = False
            candidate.note(error.why)
            return
        except (Unknown, UpstreamError) as error:
            self._fail(Step.RANGE, error)
            return
        if not candidate.has_ranges:
            candidate.note(describe_wrong_range(answer.response))

    async def _download(self, step: Step, connections: int, seconds: float) -> None:
        """Download the sample, and note how fast that was; after `seconds`, what has come counts.

        If only the download over several connections fails, the candidate can still be used.
        """
        candidate = self._candidate
        size = min(SAMPLE, self._layer.size)
        candidate.running, candidate.received, candidate.expected = step, 0, size
        pieces = [_Piece(span, span.start) for span in split(size, connections)]
        transfer = _Transfer(bytearray(size), pieces, self._clock())
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for piece in pieces:
                    group.create_task(self._read(piece, transfer))
        except TimeoutError:
            if not transfer.received:
                late = f"no byte of the layer within {seconds:.0f} s"
                self._fail(step, UpstreamUnreachable(candidate.origin, late))
                return
        except ExceptionGroup as failures:
            error = failures.exceptions[0]
            if not isinstance(error, Unknown | UpstreamError):
                raise
            self._fail(step, error)
            return
        self._note_speed(step, transfer)
        sample = await asyncio.to_thread(take_sample, transfer.content, pieces, self._layer)
        candidate.samples.append(sample)
        if sample.is_right is False:
            candidate.fail(step, "sends wrong bytes: the layer does not have its digest")

    def _fail(self, step: Step, error: Unknown | UpstreamError) -> None:
        candidate, why = self._candidate, self._explain(error)
        if step is Step.TOGETHER:
            candidate.note(f"with {CONNECTIONS} connections: {why}")
        elif isinstance(error, Unknown) and self._differs:
            # An older image has other layers, so that it is the tag which is wrong.
            candidate.fail(Step.TAGS, f"says another digest for {', '.join(self._differs)}")
        else:
            candidate.fail(step, why)

    def _note_speed(self, step: Step, transfer: _Transfer) -> None:
        candidate, first = self._candidate, transfer.first or transfer.began
        # If nearly all came at once, the time after the first byte says nothing.
        seconds = max(transfer.last - first, (transfer.last - transfer.began) / 2, 1e-6)
        rate = transfer.received / seconds
        if step is Step.DOWNLOAD:
            waited = first - transfer.began  # seconds
            candidate.performance = replace(candidate.performance, first_byte=waited, rate=rate)
        else:
            candidate.performance = replace(candidate.performance, total=rate)
        candidate.seconds[step] = transfer.last - transfer.began

    async def _read(self, piece: _Piece, transfer: _Transfer) -> None:
        """Read a piece; a connection that breaks is continued, as the mirror does it too."""
        for breaks in range(MOST_BREAKS + 1):
            began = piece.offset
            try:
                await self._read_once(piece, transfer)
            except UpstreamUnreachable as error:
                if piece.offset == began:
                    raise
                if not self._candidate.has_ranges or breaks == MOST_BREAKS:
                    why = describe_breaks(transfer.received, len(transfer.content), breaks + 1)
                    raise UpstreamUnreachable(error.endpoint, why) from error
                self._candidate.breaks += 1
            else:
                return

    async def _read_once(self, piece: _Piece, transfer: _Transfer) -> None:
        rest = Span(piece.offset, piece.span.stop)
        request = self._ask(rest) if self._candidate.has_ranges else self._request
        async with self._endpoint.request(request) as answer:
            self._check(answer, rest)
            async for chunk in answer.response.aiter_raw():
                used = chunk[: piece.span.stop - piece.offset]
                transfer.last = self._clock()
                transfer.first = transfer.first or transfer.last
                transfer.content[piece.offset : piece.offset + len(used)] = used
                piece.offset += len(used)
                self._candidate.received = transfer.received
                if piece.offset == piece.span.stop:
                    return
            raise UpstreamUnreachable(answer.origin, "ended the body early")

    def _check(self, answer: Answer, span: Span) -> None:
        response = answer.response
        is_right = not self._candidate.has_ranges or has_range(response, span, self._layer.size)
        if not is_right:
            raise UpstreamFaulty(answer.origin, describe_wrong_range(response))
        if is_compressed(response.headers):
            raise UpstreamFaulty(answer.origin, "compresses content although asked not to")

    def _ask(self, span: Span) -> Request:
        return replace(self._request, headers={"Range": f"bytes={span.start}-{span.stop - 1}"})

    def _explain(self, error: Unknown | UpstreamError) -> str:
        if isinstance(error, Unknown):
            return f"does not have a layer of {self._layer.image}"
        return explain(self._candidate, error)


def has_range(response: httpx.Response, span: Span, size: int) -> bool:
    """Whether an answer has exactly the bytes `span` of a blob of `size` bytes (RFC 9110, 15.3.7).

    An unknown size (`*`) is accepted, as in downloads.
    """
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return False
    found = parse_content_range(response.headers.get("content-range", ""))
    return found is not None and found[0] == span and found[1] in (None, size)


def describe_wrong_range(response: httpx.Response) -> str:
    """Return what is wrong about an answer to a request for a range."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        return "sends another range than was asked for"
    return f"ignores ranges ({response.status_code}), so that a download cannot go on after a break"


def describe_breaks(received: int, size: int, breaks: int) -> str:
    """Return why a download has ended whose connection broke so often."""
    often = "breaks" if breaks == 1 else f"breaks again and again ({breaks} times)"
    return f"the connection {often}: {received:,} of {size:,} bytes came"


def split(size: int, connections: int) -> list[Span]:
    """Return the parts of `size` bytes for up to so many connections, in blocks of 256 KiB."""
    blocks = -(-size // BLOCK)
    length = -(-blocks // connections) * BLOCK
    return [Span(start, min(start + length, size)) for start in range(0, size, length)]


def take_sample(content: bytearray, pieces: list[_Piece], layer: Layer) -> Sample:
    """Return the hashes of the blocks that have come, and whether a whole layer is right."""
    view = memoryview(content)
    blocks = {
        start // BLOCK: hashlib.sha256(view[start : start + BLOCK]).digest()
        for piece in pieces
        for start in range(piece.span.start, piece.span.stop, BLOCK)
        if min(start + BLOCK, piece.span.stop) <= piece.offset
    }
    is_whole = len(content) == layer.size and all(
        piece.offset == piece.span.stop for piece in pieces
    )
    return Sample(blocks, layer.digest.matches(bytes(content)) if is_whole else None)
