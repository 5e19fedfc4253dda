"""One blob, read to the end over every fault that more patience or another endpoint can heal."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from registry.errors import Unknown, UpstreamError, UpstreamFaulty, UpstreamUnreachable
from registry.oci.byte_ranges import parse_content_range
from registry.upstream.backoff import RetryBudget
from registry.upstream.endpoint import Answer, Call, Endpoint
from registry.upstream.failover import EndpointPool, may_pass, weigh
from registry.upstream.failures import WrongSize

OPEN_BUDGET = 25.0  # seconds until the first byte: a client is waiting for our headers
STALL_BUDGET = 120.0  # seconds without progress later: clients wait, and the link may come back
WORTHWHILE = 256 * 1024  # bytes that make it right to come back at once after a cut
SHORTCUT_LIFE = 120.0  # seconds for which this transfer reuses where it was redirected to
MAX_UNTOLD = 16 * 1024**3  # bytes taken of a blob whose size nobody told


@dataclass(slots=True)
class _Cursor:
    """What is still wanted: from `offset` to `stop` (None: the end, wherever that is)."""

    offset: int
    stop: int | None
    may_extend: bool

    @property
    def room(self) -> int:
        """How many more bytes may come."""
        return (MAX_UNTOLD if self.stop is None else self.stop) - self.offset

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to ask for. An empty blob is asked for: it may be absent."""
        return 0 < self.offset == self.stop


@dataclass(frozen=True, slots=True)
class _Shortcut:
    url: str
    until: float


class BlobDownloader:
    """Implements `BlobDownload` over a roster of endpoints; the digest is the same everywhere."""

    def __init__(self, pool: EndpointPool, call: Call, size: int | None) -> None:
        self.size = size
        self.endpoint = ""
        self.has_ranges: bool | None = None
        self._roster = pool
        self._call = call
        self._givers: dict[Endpoint, None] = {}  # in the order in which they first gave
        # Who broke off in the middle of this blob: others, if there are any, go on with it.
        self._quitters: set[Endpoint] = set()
        # Who sent what cannot be right is asked no more: it would bring the same. One odd answer
        # before any byte is forgiven (another server behind the same name may know ranges).
        self._faulty: dict[Endpoint, UpstreamFaulty] = {}
        self._doubted: set[Endpoint] = set()
        # Never kept beyond this transfer: signed URLs expire.
        self._shortcuts: dict[Endpoint, _Shortcut] = {}

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Mark those endpoints, or every one that gave bytes, as suspect."""
        # The first who gave comes last: who completed what another began is likelier right.
        suspects = origins or tuple(endpoint.origin for endpoint in reversed(self._givers))
        self._roster.mark_suspect(suspects)
        return suspects

    async def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` to `stop`; see `BlobDownload.stream`."""
        cursor = _Cursor(start, self.size if stop is None else stop, may_extend)
        retries = self._roster.retries(STALL_BUDGET if self._givers else OPEN_BUDGET)
        while not cursor.is_done:  # no range says "nothing"
            failures: list[Unknown | UpstreamError] = []
            began = cursor.offset
            for endpoint in self._candidates():
                try:
                    async with aclosing(self._read(endpoint, cursor)) as chunks:
                        async for chunk in chunks:
                            retries.budget = STALL_BUDGET
                            retries.renew(self._roster.now())
                            yield chunk
                except (Unknown, UpstreamError) as error:
                    failures.append(error)
                    self._roster.format_failure(endpoint, error)
                    self._doubt(endpoint, error)
                    if cursor.is_done:
                        break
                else:
                    return
            if not self._candidates():
                raise next(reversed(self._faulty.values()))
            if not cursor.is_done and cursor.offset - began < WORTHWHILE:
                await asyncio.sleep(self._wait_after(failures, retries))

    def _wait_after(self, failures: list[Unknown | UpstreamError], retries: RetryBudget) -> float:
        """Return the seconds to wait before the next round; raises when there shall be none."""
        verdict = weigh(failures)
        retry_after = verdict.retry_after if isinstance(verdict, UpstreamError) else None
        wait = retries.next_wait(self._roster.now(), retry_after)
        is_final = isinstance(verdict, Unknown) or not (self._givers or may_pass(verdict))
        if is_final or wait is None:
            # Who sent nonsense and is asked no more has left the question open all the same.
            raise weigh([*self._faulty.values(), *failures])
        return wait

    def _doubt(self, endpoint: Endpoint, error: Unknown | UpstreamError) -> None:
        if not isinstance(error, UpstreamFaulty):
            return
        if isinstance(error, WrongSize) or endpoint in self._doubted:
            self._faulty[endpoint] = error
        self._doubted.add(endpoint)

    def _candidates(self) -> list[Endpoint]:
        left = self._roster.candidates(without=self._faulty)
        return sorted(left, key=self._quitters.__contains__)

    async def _read(self, endpoint: Endpoint, cursor: _Cursor) -> AsyncGenerator[bytes, None]:
        shortcut = self._find_shortcut(endpoint)
        start_at = shortcut.url if shortcut else None
        call = replace(self._call, headers=_range_header(cursor, self.size), start_at=start_at)
        is_giving = False
        try:
            async with endpoint.request(call) as answer:
                skip = self._place(answer, cursor)
                is_giving = True
                self._givers[endpoint] = None
                self.endpoint = endpoint.origin
                if answer.origin != endpoint.origin and shortcut is None:
                    until = self._roster.now() + SHORTCUT_LIFE
                    self._shortcuts[endpoint] = _Shortcut(answer.url, until)
                is_longer = not (answer.is_partial or cursor.stop in (None, self.size))
                async with aclosing(_take(answer, cursor, skip, is_longer=is_longer)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                if cursor.stop is not None and cursor.room > 0:
                    raise UpstreamUnreachable(answer.origin, "ended the body early")
        except (Unknown, UpstreamError):
            self._shortcuts.pop(endpoint, None)
            if is_giving:
                self._quitters.add(endpoint)
            raise

    def _find_shortcut(self, endpoint: Endpoint) -> _Shortcut | None:
        shortcut = self._shortcuts.get(endpoint)
        is_usable = shortcut is not None and self._roster.now() < shortcut.until
        return shortcut if is_usable else None

    def _place(self, answer: Answer, cursor: _Cursor) -> int:
        """Hold the answer against what was asked; return how many bytes come before `offset`."""
        if answer.is_partial:
            found = parse_content_range(answer.header("content-range") or "")
            if found is None or found[0].start != cursor.offset:
                raise UpstreamFaulty(answer.origin, "sends another range than was asked for")
            self._agree(answer, found[1])
            self.has_ranges = self.has_ranges is not False  # once lost, they are not relied on
            return 0
        length = answer.header("content-length") or ""
        self._agree(answer, int(length) if length.isascii() and length.isdigit() else None)
        if cursor.offset or cursor.stop != self.size:
            self.has_ranges = False
        if cursor.may_extend or cursor.stop is None:
            cursor.stop = self.size
        return cursor.offset

    def _agree(self, answer: Answer, size: int | None) -> None:
        if self.size is None:
            self.size = size
        elif size is not None and size != self.size:
            raise WrongSize(
                answer.origin, f"has {size} bytes where the descriptor says {self.size}"
            )


def _range_header(cursor: _Cursor, size: int | None) -> dict[str, str]:
    if cursor.offset == 0 and cursor.stop in (None, size):
        return {}  # the whole
    if cursor.stop is None:
        return {"Range": f"bytes={cursor.offset}-"}
    return {"Range": f"bytes={cursor.offset}-{cursor.stop - 1}"}


async def _take(
    answer: Answer, cursor: _Cursor, skip: int, *, is_longer: bool
) -> AsyncGenerator[bytes, None]:
    """Yield what of the body belongs to the cursor, moving it.

    `skip` bytes come before it; `is_longer` says that more comes behind, which is left unread.
    Elsewhere the body is read to its end, so that the connection can be used again.
    """
    async for piece in answer.response.aiter_raw():
        chunk = piece[skip:] if skip else piece
        skip = max(0, skip - len(piece))
        if len(chunk) > cursor.room and not is_longer:
            raise WrongSize(answer.origin, "sends more bytes than there are")
        chunk = chunk[: cursor.room]
        if chunk:
            cursor.offset += len(chunk)
            yield chunk
        if is_longer and cursor.room == 0:
            return
