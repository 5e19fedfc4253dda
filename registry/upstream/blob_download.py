"""Downloading one blob; after a broken connection, another try or another endpoint continues."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from registry.errors import Unknown, UpstreamError, UpstreamFaulty, UpstreamUnreachable
from registry.oci.byte_ranges import parse_content_range
from registry.upstream.backoff import RetryBudget
from registry.upstream.blob_size import read_length
from registry.upstream.contract import Chunk
from registry.upstream.direct_body import DIRECT
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool, combine, is_temporary
from registry.upstream.failures import RangeRefused, WrongSize
from registry.upstream.request import Answer, Request, is_compressed

OPEN_BUDGET = 25.0  # seconds until the first byte, because a client waits for the headers
STALL_BUDGET = 120.0  # seconds without progress after the first byte; the link may recover
ENOUGH = 256 * 1024  # bytes; after that many, a broken connection is replaced without a wait
REDIRECT_LIFE = 120.0  # seconds for which a download reuses the URL of a redirect
MAX_UNKNOWN_SIZE = 16 * 1024**3  # bytes that are read of a blob whose size is not known


@dataclass(slots=True)
class _Wanted:
    """The bytes to read: from `offset`, which grows, to `stop` (None: the unknown end).

    The body that is being read has `skip` bytes before `offset`. `is_longer` says whether the body
    continues after `stop`. With `in_thread`, the caller can receive bytes in a thread.
    """

    offset: int
    stop: int | None
    may_extend: bool
    in_thread: bool = False
    skip: int = 0
    is_longer: bool = False

    @property
    def is_done(self) -> bool:
        """Whether all bytes were read. An empty blob is requested once, since it may not exist."""
        return 0 < self.offset == self.stop

    @property
    def direct(self) -> int:
        """How many bytes a thread may receive: the rest of the body, if all of it is wanted."""
        if not self.in_thread or self.stop is None or self.skip or self.is_longer:
            return 0
        return self.stop - self.offset

    @property
    def is_cut_off(self) -> bool:
        """Whether a body ended too early."""
        return self.stop is not None and self.offset < self.stop

    def take(self, piece: bytes, origin: str) -> bytes:
        """Return the wanted bytes of a piece of the body, and add their number to `offset`."""
        if self.skip:
            chunk = piece[self.skip :]
            self.skip = max(0, self.skip - len(piece))
        else:
            chunk = piece
        left = (MAX_UNKNOWN_SIZE if self.stop is None else self.stop) - self.offset
        if len(chunk) > left:
            if not self.is_longer:
                raise WrongSize(origin, "sends more bytes than were asked for")
            chunk = chunk[:left]
        self.offset += len(chunk)
        return chunk


@dataclass(frozen=True, slots=True)
class _Redirect:
    url: str
    until: float


class BlobDownloader:
    """Implements `BlobDownload` with the endpoints of a pool; any endpoint can continue."""

    def __init__(self, pool: EndpointPool, request: Request, size: int | None) -> None:
        self.size = size
        self.endpoint = ""
        self.has_ranges: bool | None = None
        self._pool = pool
        self._request = request
        self._senders: dict[Endpoint, None] = {}  # in the order of their first bytes
        # Endpoints whose connection broke during this blob: other endpoints are asked first.
        self._broken: set[Endpoint] = set()
        # Endpoints whose answer is faulty are not asked again: the answer would be the same. One
        # faulty answer with the right size is allowed: another server of the endpoint may have
        # ranges.
        self._faulty: dict[Endpoint, UpstreamFaulty] = {}
        self._faulty_once: set[Endpoint] = set()
        self._answers: dict[Endpoint, Unknown | UpstreamError] = {}  # the last failure of each
        # Not kept after this download: signed URLs expire.
        self._redirects: dict[Endpoint, _Redirect] = {}
        self._without_range: set[Endpoint] = set()  # endpoints that refused a range

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Mark these endpoints, or all that sent bytes, as suspect; see `BlobDownload`."""
        # The first sender is marked last: the sender that only completed the blob is less likely
        # to be wrong.
        suspects = origins or tuple(endpoint.origin for endpoint in reversed(self._senders))
        self._pool.mark_suspect(suspects)
        return suspects

    def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` to `stop`; see `BlobDownload.stream`."""
        wanted = _Wanted(start, self.size if stop is None else stop, may_extend)
        return cast("AsyncGenerator[bytes, None]", self._stream(wanted))

    def receive(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the bytes from `start` to `stop`; see `BlobDownload.receive`."""
        wanted = _Wanted(start, self.size if stop is None else stop, may_extend, in_thread=True)
        return self._stream(wanted)

    async def _stream(self, wanted: _Wanted) -> AsyncGenerator[Chunk, None]:
        retries = self._pool.start_retries(STALL_BUDGET if self._senders else OPEN_BUDGET)
        while not wanted.is_done:  # a Range header cannot name an empty range
            failures: list[Unknown | UpstreamError] = []
            began = wanted.offset
            for endpoint in self._in_turn():
                try:
                    async with aclosing(self._read(endpoint, wanted)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                except (Unknown, UpstreamError) as error:
                    failures.append(error)
                    self._note_failure(endpoint, error)
                    if wanted.is_done:
                        break
                else:
                    return
            if not self._candidates():
                raise combine(list(self._faulty.values()))
            if wanted.offset > began:
                retries.renew(self._pool.clock() + STALL_BUDGET)
            if not wanted.is_done and wanted.offset - began < ENOUGH:
                await asyncio.sleep(self._wait_after(failures, retries))

    def _wait_after(self, failures: list[Unknown | UpstreamError], retries: RetryBudget) -> float:
        """Return the seconds to wait before the next round; raise the error if there is none."""
        # After a refused range, the answer to the request without a range counts.
        failures = [each for each in failures if not isinstance(each, RangeRefused)]
        failure = combine(failures)
        retry_after = failure.retry_after if isinstance(failure, UpstreamError) else None
        wait = retries.next_wait(self._pool.clock(), retry_after)
        is_final = isinstance(failure, Unknown) or not (self._senders or is_temporary(failure))
        if is_final or wait is None:
            # A faulty endpoint is not asked again, but it may still have the blob.
            raise combine([*self._faulty.values(), *failures], list(self._answers.values()))
        return wait

    def _note_failure(self, endpoint: Endpoint, error: Unknown | UpstreamError) -> None:
        self._pool.log_failure(endpoint, error)
        self._answers[endpoint] = error
        if isinstance(error, RangeRefused):
            self._without_range.add(endpoint)
        elif isinstance(error, UpstreamFaulty):
            if isinstance(error, WrongSize) or endpoint in self._faulty_once:
                self._faulty[endpoint] = error
            self._faulty_once.add(endpoint)

    def _in_turn(self) -> Iterator[Endpoint]:
        """Yield the endpoints to ask, and an endpoint that refuses a range once more."""
        for endpoint in self._candidates():
            had_range = endpoint not in self._without_range
            yield endpoint
            if had_range and endpoint in self._without_range:
                yield endpoint

    def _candidates(self) -> list[Endpoint]:
        left = self._pool.candidates(without=self._faulty, repository=self._request.repository)
        return sorted(left, key=self._broken.__contains__)

    async def _read(self, endpoint: Endpoint, wanted: _Wanted) -> AsyncGenerator[Chunk, None]:
        """Yield the wanted bytes that one endpoint sends."""
        redirect = self._usable_redirect(endpoint)
        has_no_ranges = endpoint in self._without_range or endpoint.learned.has_no_ranges()
        request = replace(
            self._request,
            headers={} if has_no_ranges else _range_header(wanted, self.size),
            start_at=redirect.url if redirect else None,
        )
        is_sending = False
        try:
            async with endpoint.request(request) as answer:
                self._check(answer, wanted)
                is_sending = True
                self._note_sender(endpoint, answer, redirect)
                # A body that ends at `stop` is read to its end, so that the connection stays
                # usable.
                async for piece in answer.response.aiter_raw():
                    if chunk := wanted.take(piece, answer.origin):
                        yield chunk
                    if wanted.is_longer and wanted.is_done:
                        break
                    async with aclosing(_receive_rest(answer, wanted)) as rest:
                        async for received in rest:
                            yield received
                if wanted.is_cut_off:
                    raise UpstreamUnreachable(answer.origin, "ended the body early")
        except (Unknown, UpstreamError):
            self._redirects.pop(endpoint, None)
            if is_sending:
                self._broken.add(endpoint)
            else:  # if it refused a range before, the range was not the reason
                self._without_range.discard(endpoint)
            raise

    def _usable_redirect(self, endpoint: Endpoint) -> _Redirect | None:
        redirect = self._redirects.get(endpoint)
        return redirect if redirect and self._pool.clock() < redirect.until else None

    def _note_sender(self, endpoint: Endpoint, answer: Answer, used: _Redirect | None) -> None:
        self._senders[endpoint] = None
        self.endpoint = endpoint.origin
        if endpoint in self._without_range:
            endpoint.learned.refuse_ranges()
        if answer.origin != endpoint.origin and used is None:
            until = self._pool.clock() + REDIRECT_LIFE
            self._redirects[endpoint] = _Redirect(answer.url, until)

    def _check(self, answer: Answer, wanted: _Wanted) -> None:
        """Compare the headers of an answer with the request, and prepare `wanted` for the body."""
        wanted.skip, wanted.is_longer = 0, False
        headers = answer.response.headers
        if answer.response.status_code == 206:
            found = parse_content_range(headers.get("content-range", ""))
            if found is None or found[0].start != wanted.offset:
                raise UpstreamFaulty(answer.origin, "sends another range than was asked for")
            self._check_size(answer, found[1])
            # If an answer had no range once, ranges are not relied on again.
            self.has_ranges = self.has_ranges is not False
            return
        length = read_length(headers)
        if is_compressed(headers) and (length is None or self.size not in (None, length)):
            raise UpstreamFaulty(answer.origin, "compresses content although asked not to")
        self._check_size(answer, length)
        if wanted.offset or wanted.stop != self.size:
            self.has_ranges = False
        if wanted.may_extend or wanted.stop is None:
            wanted.stop = self.size
        wanted.skip = wanted.offset
        wanted.is_longer = wanted.stop not in (None, self.size)

    def _check_size(self, answer: Answer, size: int | None) -> None:
        if self.size is None:
            self.size = size
        elif size is not None and size != self.size:
            raise WrongSize(
                answer.origin, f"has {size} bytes where the descriptor says {self.size}"
            )


async def _receive_rest(answer: Answer, wanted: _Wanted) -> AsyncGenerator[Chunk, None]:
    """Yield the rest of a body, if the caller can receive it in a thread."""
    receive: Callable[[int], AsyncGenerator[Chunk, None]] | None
    receive = answer.response.extensions.get(DIRECT)
    if receive is None or not wanted.direct:
        return
    async with aclosing(receive(wanted.direct)) as chunks:
        async for chunk in chunks:
            yield chunk
            wanted.offset += len(chunk)


def _range_header(wanted: _Wanted, size: int | None) -> dict[str, str]:
    if wanted.offset == 0 and wanted.stop in (None, size):
        return {}  # the whole blob
    if wanted.stop is None:
        return {"Range": f"bytes={wanted.offset}-"}
    return {"Range": f"bytes={wanted.offset}-{wanted.stop - 1}"}
