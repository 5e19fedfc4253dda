"""Downloading one blob; after a broken connection, another try or another endpoint continues."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from registry.errors import Unknown, UpstreamError, UpstreamUnproven
from registry.oci.byte_ranges import Span
from registry.upstream.backoff import RetryBudget
from registry.upstream.blob_answer import check_answer
from registry.upstream.blob_body import read_body
from registry.upstream.blob_failures import BlobFailures
from registry.upstream.blob_senders import BlobSenders
from registry.upstream.combined_failures import combine, is_temporary
from registry.upstream.contract import Chunk
from registry.upstream.endpoint import Endpoint
from registry.upstream.endpoint_senders import build_sender
from registry.upstream.failover import EndpointPool
from registry.upstream.failures import RangeIgnored, RangeRefused
from registry.upstream.hedged_reading import Reading, begin_soonest
from registry.upstream.kept_redirects import KeptRedirects
from registry.upstream.meter import within
from registry.upstream.pacing import Pace
from registry.upstream.range_sender import Sender
from registry.upstream.ranking import USUAL
from registry.upstream.request import Answer, Request
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
        self._senders, self._failures = BlobSenders(pool, request.path), BlobFailures()
        self._may_explore = len(pool.endpoints) > 1  # until the first bytes are wanted
        self._broken: set[Endpoint] = set()  # whose connection broke: others are asked first
        self._redirects = KeptRedirects(pool.clock)
        self._numbers: list[Endpoint] = []  # by the number of the sender
        self._excluded: Collection[str] = ()  # origins
        self._is_proof_required = False
        self._last_resort: Collection[Endpoint] = ()

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Mark these endpoints, or all that sent bytes, as suspect; see `BlobDownload`."""
        return self._senders.mark_suspect(*origins)

    def mark_right(self) -> None:
        """Note that the digest agrees with the bytes; see `BlobDownload`."""
        self._senders.mark_right()

    def mark_wrong(self, origin: str) -> None:
        """Note that an endpoint has sent wrong bytes; see `BlobDownload`."""
        self._senders.mark_wrong(origin)

    def acquit(self, *origins: str) -> None:
        """Note that the bytes of these endpoints were right; see `BlobDownload`."""
        self._senders.acquit(*origins)

    def exclude(self, origins: Collection[str]) -> bool:
        """Do not ask these endpoints; return whether others are left; see `BlobDownload`."""
        self._excluded = origins
        self._may_explore = self._may_explore and not origins
        return bool(self._candidates())

    def needs_proof(self, origins: Iterable[str]) -> bool:
        """Whether nothing is sent to clients yet; see `BlobDownload`."""
        return not self._pool.suspects.are_proven(origins)

    def list_senders(self) -> list[Sender]:
        """Return the endpoints that may be asked for ranges; see `BlobDownload`."""
        able = [each for each in self._candidates() if not self._has_no_ranges(each)]
        if len(able) > 1:
            failed = [each for each in self._failures.last if each not in self._senders.meters]
            able = list(self._pool.suspects.choose_senders(able, failed))
        self._numbers += [each for each in able if each not in self._numbers]
        number, broken = self._numbers.index, self._broken
        return [build_sender(number(each), each, is_broken=each in broken) for each in able]

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

    def require_proof(self, *, or_marked: bool = False) -> None:
        """Ask only endpoints whose bytes may be sent at once; see `BlobDownload`."""
        self._is_proof_required = True
        self._last_resort = self._pool.suspects.list_last_resort() if or_marked else ()

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
        retries = self._pool.start_retries(STALL_BUDGET if self._senders.meters else OPEN_BUDGET)
        async with aclosing(self._explore(wanted)) as chunks:
            async for chunk in chunks:
                yield chunk
        while not wanted.is_done:  # a Range header cannot name an empty range
            failures: list[Unknown | UpstreamError] = []
            began, turn = wanted.offset, self._in_turn()
            while not wanted.is_done and (reading := await self._begin(wanted, turn, failures)):
                wanted = reading.wanted
                try:
                    async with aclosing(reading.chunks) as chunks:
                        if reading.first is not None:
                            yield reading.first
                        async for chunk in chunks:
                            yield chunk
                except (Unknown, UpstreamError) as error:
                    failures.append(error)
                    self._note_failure(reading.endpoint, error)
                else:
                    return
            if not self._candidates():
                faulty = list(self._failures.faulty.values())
                raise combine(faulty) if faulty else UpstreamUnproven(self._pool.name)
            if not wanted.is_done:
                await self._pause(failures, retries, wanted.offset - began)

    async def _begin(
        self, wanted: WantedBytes, turn: Iterator[Endpoint], failures: list[Unknown | UpstreamError]
    ) -> Reading | None:
        """Return a reading of the first endpoint in `turn` that sends bytes; None if none does."""

        def begin(endpoint: Endpoint) -> Reading:
            own = replace(wanted)
            return Reading(endpoint, own, self._read(endpoint, own))

        def fail(endpoint: Endpoint, error: Unknown | UpstreamError) -> None:
            failures.append(error)
            self._note_failure(endpoint, error)

        reading = await begin_soonest(begin, turn, fail, self._note_overtaken)
        if reading is not None:
            self.endpoint = reading.endpoint.origin
        return reading

    def _note_overtaken(self, endpoint: Endpoint, seconds: float) -> None:
        """Note that an endpoint has sent nothing for so many seconds, and another one has."""
        self._pool.note_overtaken(endpoint, f"no byte within {seconds:.1f} s")
        endpoint.measured.note_first_byte(seconds)
        self._broken.add(endpoint)

    async def _explore(self, wanted: WantedBytes) -> AsyncGenerator[Chunk, None]:
        """Yield the first bytes from an endpoint of which little is known, unless it is slow."""
        may_explore = self._may_explore and not self._is_proof_required
        self._may_explore = False
        length, repository = (wanted.stop or 0) - wanted.offset, self._request.repository
        if not may_explore or not (endpoint := self._pool.choose_explored(repository, length)):
            return
        part = WantedBytes(wanted.offset, wanted.offset + min(length, EXPLORED_SIZE))
        has_ranges = self.has_ranges
        try:
            async with aclosing(self._read(endpoint, part)) as chunks:
                async for chunk in within(EXPLORED_TIME, chunks, self._pace):
                    wanted.offset, self.endpoint = part.offset, endpoint.origin
                    yield chunk
        except (Unknown, UpstreamError) as error:
            self._note_failure(endpoint, error)
        except TimeoutError:
            if endpoint not in self._senders.meters:
                endpoint.measured.note_first_byte(EXPLORED_TIME)
        if self.has_ranges is False:
            self.has_ranges = has_ranges  # the others may have them

    async def _pause(
        self, failures: list[Unknown | UpstreamError], retries: RetryBudget, received: int
    ) -> None:
        """Wait before the next round, unless this one has received enough.

        After a refused range, the answer to the request without one counts: it is sent at once.
        """
        if received:
            retries.renew(self._pool.clock() + STALL_BUDGET)
        decisive = [each for each in failures if not isinstance(each, RangeRefused)]
        if decisive and received < ENOUGH:
            await asyncio.sleep(self._wait_after(decisive, retries))

    def _wait_after(self, failures: list[Unknown | UpstreamError], retries: RetryBudget) -> float:
        """Return the seconds to wait before the next round; raise the error if there is none."""
        failure = combine(failures)
        retry_after = failure.retry_after if isinstance(failure, UpstreamError) else None
        wait = retries.next_wait(self._pool.clock(), retry_after)
        may_go_on = self._senders.meters or is_temporary(failure)
        if wait is None or not may_go_on or isinstance(failure, Unknown):
            raise self._failures.explain(failures)
        return wait

    def _note_failure(self, endpoint: Endpoint, error: Unknown | UpstreamError) -> None:
        self._pool.log_failure(endpoint, error)
        self._failures.note(endpoint, error)

    def _in_turn(self) -> Iterator[Endpoint]:
        """Yield the endpoints to ask, and an endpoint that refuses a range once more."""
        for endpoint in self._candidates():
            had_range = endpoint not in self._failures.without_range
            yield endpoint
            if had_range and endpoint in self._failures.without_range:
                yield endpoint

    def _candidates(self) -> list[Endpoint]:
        size, repository = USUAL if self.size is None else self.size, self._request.repository
        left = self._pool.candidates(
            without=self._list_unwanted(), repository=repository, size=size
        )
        return sorted(left, key=self._broken.__contains__)

    def _list_unwanted(self) -> list[Endpoint]:
        """Return the endpoints that are not asked now for more bytes of this blob."""
        # What clients read must not go on with bytes of an endpoint that has to prove itself.
        senders, is_absent = self._senders.meters, self._failures.is_absent
        is_streamed = self._is_proof_required or any(map(self._is_proven, senders))
        return [
            each
            for each in self._pool.endpoints
            if each in self._failures.faulty
            or each.origin in self._excluded
            or (is_streamed and not self._is_proven(each))
            or (senders and each not in senders and is_absent(each))
        ]

    def _is_proven(self, endpoint: Endpoint) -> bool:
        are_proven = self._pool.suspects.are_proven
        return endpoint in self._last_resort or are_proven([endpoint.origin])

    def _has_no_ranges(self, endpoint: Endpoint) -> bool:
        return endpoint in self._failures.without_range or endpoint.learned.has_no_ranges()

    async def _read(self, endpoint: Endpoint, wanted: WantedBytes) -> AsyncGenerator[Chunk, None]:
        """Yield the wanted bytes that one endpoint sends."""
        redirect = self._redirects.find(endpoint)
        request = replace(
            self._request,
            headers={} if self._has_no_ranges(endpoint) else wanted.name_range(self.size),
            start_at=redirect,
        )
        is_sending, began = False, wanted.offset
        try:
            async with endpoint.request(request) as answer:
                self.size, has_ranges = check_answer(answer, wanted, self.size)
                if has_ranges is not None:  # without them once, they are not relied on again
                    self.has_ranges = has_ranges and self.has_ranges is not False
                is_sending = True
                self._note_answer(endpoint, answer, redirect)
                with self._senders.measure(endpoint).open_stream() as stream:
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
                self._failures.without_range.discard(endpoint)
            raise

    def _note_answer(self, endpoint: Endpoint, answer: Answer, used: str | None) -> None:
        self._pool.note_reached(endpoint)
        if endpoint in self._failures.without_range:
            endpoint.learned.refuse_ranges()
        if answer.origin != endpoint.origin and used is None:
            self._redirects.keep(endpoint, answer.url)
