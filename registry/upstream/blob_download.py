"""Downloading one blob; after a broken connection, another try or another endpoint continues."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from registry.errors import Unknown, UpstreamError, UpstreamFaulty
from registry.oci.byte_ranges import Span, parse_content_range
from registry.upstream.backoff import RetryBudget
from registry.upstream.blob_body import read_body
from registry.upstream.blob_size import read_length
from registry.upstream.combined_failures import combine, is_temporary
from registry.upstream.contract import Chunk
from registry.upstream.endpoint import Endpoint
from registry.upstream.endpoint_senders import build_sender
from registry.upstream.failover import EndpointPool
from registry.upstream.failures import NoneProven, RangeIgnored, RangeRefused, WrongSize
from registry.upstream.kept_redirects import KeptRedirects
from registry.upstream.meter import Meter, within
from registry.upstream.pacing import Pace
from registry.upstream.range_sender import Sender
from registry.upstream.ranking import USUAL
from registry.upstream.request import Answer, Request, is_compressed
from registry.upstream.wanted_bytes import WantedBytes

OPEN_BUDGET = 25.0  # seconds until the first byte, because a client waits for the headers
STALL_BUDGET = 120.0  # seconds without progress after the first byte; the link may recover
ENOUGH = 256 * 1024  # bytes; after that many, a broken connection is replaced without a wait
EXPLORED_SIZE = 4 * 1024 * 1024  # bytes that are read from an endpoint to learn about it...
EXPLORED_TIME = 2.0  # ...and seconds for them; then the best endpoint continues


class BlobDownloader:
    """Implements `BlobDownload` with the endpoints of a pool; any endpoint can continue."""

    def __init__(self, pool: EndpointPool, request: Request, size: int | None, pace: Pace) -> None:
        self.size, self.endpoint = size, ""
        self.has_ranges: bool | None = None
        self._pool, self._request, self._pace = pool, request, pace
        self._senders: dict[Endpoint, Meter] = {}  # in the order of their first bytes
        self._may_explore = True  # until the first bytes are wanted
        self._broken: set[Endpoint] = set()  # whose connection broke: others are asked first
        # Endpoints whose answer is faulty are not asked again: the answer would be the same. One of
        # the right size is allowed: another server of the endpoint may have ranges.
        self._faulty: dict[Endpoint, UpstreamFaulty] = {}
        self._faulty_once: set[Endpoint] = set()
        self._answers: dict[Endpoint, Unknown | UpstreamError] = {}  # the last failure of each
        self._redirects = KeptRedirects(pool.clock)
        self._without_range: set[Endpoint] = set()  # endpoints that refused a range
        self._numbers: list[Endpoint] = []  # by the number of the sender
        self._liars: set[Endpoint] = set()
        self._is_proof_required = False

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Mark these endpoints, or all that sent bytes, as suspect; see `BlobDownload`."""
        # The first sender is marked last: the sender that only completed the blob is less likely
        # to be wrong.
        suspects = origins or tuple(endpoint.origin for endpoint in reversed(self._senders))
        self._pool.mark_suspect(suspects)
        if not origins and len(self._senders) == 1:
            next(iter(self._senders)).measured.note_wrong()
        return suspects

    def list_senders(self) -> list[Sender]:
        """Return the endpoints that may be asked for ranges; see `BlobDownload`."""
        able = [
            endpoint
            for endpoint in self._candidates()
            if endpoint not in self._without_range and not endpoint.learned.has_no_ranges()
        ]
        able = [each for each in able if not self._pool.is_suspect(each)] or able
        self._numbers += [each for each in able if each not in self._numbers]
        numbers, broken = self._numbers, self._broken
        return [build_sender(numbers.index(e), e, is_broken=e in broken) for e in able]

    async def read_range(self, sender: Sender, span: Span) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a span from one endpoint; see `BlobDownload.read_range`."""
        endpoint = self._numbers[sender.number]
        wanted = WantedBytes(span.start, span.stop, needs_range=True)
        try:
            chunks = cast("AsyncGenerator[bytes, None]", self._read(endpoint, wanted))
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        except RangeIgnored as error:
            self._pool.log_failure(endpoint, error)
            raise
        except (Unknown, UpstreamError) as error:
            self._note_failure(endpoint, error)
            raise

    def mark_right(self) -> None:
        """Note that the digest agrees with the bytes; see `BlobDownload`."""
        for endpoint, meter in self._senders.items():
            if endpoint not in self._liars:
                endpoint.measured.note_right(meter.sent)

    def mark_wrong(self, origin: str) -> None:
        """Note that an endpoint has sent wrong bytes; see `BlobDownload`."""
        self._pool.mark_suspect((origin,))
        for endpoint in self._senders:
            if endpoint.origin == origin:
                self._liars.add(endpoint)
                endpoint.measured.note_wrong()

    def needs_proof(self, origins: Iterable[str]) -> bool:
        """Whether nothing is sent to clients yet; see `BlobDownload`."""
        return not self._pool.are_proven(origins)

    def require_proof(self) -> None:
        """Ask only endpoints whose bytes may be sent at once; see `BlobDownload`."""
        self._is_proof_required, self._may_explore = True, False

    def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` to `stop`; see `BlobDownload.stream`."""
        chunks = self.receive(start, stop, may_extend=may_extend, in_thread=lambda: False)
        return cast("AsyncGenerator[bytes, None]", chunks)

    async def receive(
        self,
        start: int,
        stop: int | None,
        *,
        may_extend: bool = False,
        in_thread: Callable[[], bool],
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the bytes from `start` to `stop`; see `BlobDownload.receive`."""
        stop = self.size if stop is None else stop
        wanted = WantedBytes(start, stop, may_extend, in_thread=in_thread)
        retries = self._pool.start_retries(STALL_BUDGET if self._senders else OPEN_BUDGET)
        async with aclosing(self._explore(wanted)) as chunks:
            async for chunk in chunks:
                yield chunk
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
                raise combine([*self._faulty.values()] or [NoneProven(self._pool.name)])
            if not wanted.is_done:
                await self._pause(failures, retries, wanted.offset - began)

    async def _explore(self, wanted: WantedBytes) -> AsyncGenerator[Chunk, None]:
        """Yield the first bytes from an endpoint of which little is known, unless it is slow."""
        may_explore, self._may_explore = self._may_explore, False
        length = (wanted.stop or 0) - wanted.offset
        repository = self._request.repository
        if not may_explore or not (endpoint := self._pool.choose_explored(repository, length)):
            return
        part = WantedBytes(wanted.offset, wanted.offset + min(length, EXPLORED_SIZE))
        has_ranges = self.has_ranges
        try:
            async with aclosing(self._read(endpoint, part)) as chunks:
                async for chunk in within(EXPLORED_TIME, chunks, self._pace):
                    wanted.offset = part.offset
                    yield chunk
        except (Unknown, UpstreamError) as error:
            self._note_failure(endpoint, error)
        except TimeoutError:
            if endpoint not in self._senders:
                endpoint.measured.note_first_byte(EXPLORED_TIME)
        if self.has_ranges is False:
            self.has_ranges = has_ranges  # the others may have them

    async def _pause(
        self, failures: list[Unknown | UpstreamError], retries: RetryBudget, received: int
    ) -> None:
        """Wait before the next round, unless this one has received enough."""
        if received:
            retries.renew(self._pool.clock() + STALL_BUDGET)
        if received < ENOUGH:
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
        left = self._pool.candidates(
            without=self._faulty,
            repository=self._request.repository,
            size=USUAL if self.size is None else self.size,
        )
        # What clients read must not go on with bytes of an endpoint that has to prove itself.
        has_proven = any(self._pool.are_proven([each.origin]) for each in self._senders)
        if has_proven or self._is_proof_required:
            left = [each for each in left if self._pool.are_proven([each.origin])]
        return sorted(left, key=self._broken.__contains__)

    async def _read(self, endpoint: Endpoint, wanted: WantedBytes) -> AsyncGenerator[Chunk, None]:
        """Yield the wanted bytes that one endpoint sends."""
        redirect = self._redirects.find(endpoint)
        has_no_ranges = endpoint in self._without_range or endpoint.learned.has_no_ranges()
        request = replace(
            self._request,
            headers={} if has_no_ranges else wanted.name_range(self.size),
            start_at=redirect,
        )
        is_sending, began = False, wanted.offset
        try:
            async with endpoint.request(request) as answer:
                self._check(answer, wanted)
                is_sending = True
                self._note_sender(endpoint, answer, redirect)
                with self._senders[endpoint].open_stream() as stream:
                    body = read_body(answer, wanted, stream, self._pace)
                    async with aclosing(body) as chunks:
                        async for chunk in chunks:
                            yield chunk
        except (Unknown, UpstreamError):
            if wanted.offset - began < ENOUGH:  # the target of the redirect does not deliver
                self._redirects.forget(endpoint)
            if is_sending:
                self._broken.add(endpoint)
            else:  # if it refused a range before, the range was not the reason
                self._without_range.discard(endpoint)
            raise

    def _note_sender(self, endpoint: Endpoint, answer: Answer, used: str | None) -> None:
        if endpoint not in self._senders:
            self._senders[endpoint] = Meter(endpoint.measured, self._pool.clock)
        self.endpoint = endpoint.origin
        if endpoint in self._without_range:
            endpoint.learned.refuse_ranges()
        if answer.origin != endpoint.origin and used is None:
            self._redirects.keep(endpoint, answer.url)

    def _check(self, answer: Answer, wanted: WantedBytes) -> None:
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
            if wanted.needs_range:
                raise RangeIgnored(answer.origin, "sends the whole blob instead of a range")
            self.has_ranges = False
        if wanted.may_extend or wanted.stop is None:
            wanted.stop = self.size
        wanted.skip = wanted.offset
        wanted.is_longer = wanted.stop not in (None, self.size)

    def _check_size(self, answer: Answer, size: int | None) -> None:
        if self.size is None:
            self.size = size
        elif size is not None and size != self.size:
            why = f"has {size} bytes where the descriptor says {self.size}"
            raise WrongSize(answer.origin, why)
