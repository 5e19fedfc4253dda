"""The faults of the fake upstream, and the script that says which requests get them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FaultKind = Literal["manifest", "blob", "cdn", "token", "tags", "referrers", "ping", "any"]


class Action:
    """One kind of fault."""


class Arrival(Action):
    """A fault that happens before the request is read, and so before authorization."""


class Answer(Action):
    """A fault in an answer that would otherwise be correct."""


class BodyAnswer(Answer):
    """A fault in the body, so neither a HEAD nor a redirect has it."""


class RangeAnswer(BodyAnswer):
    """A fault that happens only for requests with a range."""


@dataclass(frozen=True)
class Status(Arrival):
    """Answer with this status and body: 500, 503, a 403 in XML, the page of a captive portal."""

    code: int
    body: bytes | str = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plain429(Arrival):
    """Answer like Docker Hub's abuse limiter (HAP429): LF line ends, text, `Retry-After: 60`."""

    retry_after: int = 60


@dataclass(frozen=True)
class Hang(Arrival):
    """Send no answer, and leave the connection open."""


@dataclass(frozen=True)
class Delay(Arrival):
    """Wait this many seconds, and then answer, or apply the next fault of the script."""

    seconds: float


@dataclass(frozen=True)
class ExpireUrl(Arrival):
    """Answer a signed URL with 403 in XML: `Request has expired`."""


@dataclass(frozen=True)
class Redirect(Answer):
    """Answer an authorized request with 307 to this location."""

    location: str


@dataclass(frozen=True)
class RedirectLoop(Answer):
    """Answer with 307 to the same URL."""


@dataclass(frozen=True)
class Cut(BodyAnswer):
    """Close the connection after this many body bytes; `reset` sends a TCP reset.

    Without `reset` the client gets the bytes before the cut; with a reset they may be lost.
    """

    after_bytes: int
    reset: bool = False


@dataclass(frozen=True)
class Stall(BodyAnswer):
    """Send nothing more after this many body bytes; the connection stays open."""

    after_bytes: int


@dataclass(frozen=True)
class Lie(BodyAnswer):
    """Send wrong bytes of the right length: the byte at this position is inverted."""

    flip_at: int = 0


@dataclass(frozen=True)
class Invert(BodyAnswer):
    """Send wrong bytes of the right length: all of them are inverted."""


@dataclass(frozen=True)
class LieInside(BodyAnswer):
    """Invert the byte in the middle of each body of more than `over` bytes.

    So which byte of a blob is wrong depends on the range that is asked for.
    """

    over: int = 100_000


@dataclass(frozen=True)
class LieEvery(BodyAnswer):
    """Invert the bytes at `at`, `at` + `step` and so on, whatever range is asked for."""

    step: int = 3 * 1024 * 1024
    at: int = 1_000_000


@dataclass(frozen=True)
class Endless(BodyAnswer):
    """Send zeros after the content: without end, chunked, or up to a declared total length."""

    declared: int | None = None


@dataclass(frozen=True)
class NoLength(Answer):
    """Send the body chunked, without Content-Length."""


@dataclass(frozen=True)
class IgnoreRange(RangeAnswer):
    """Answer a request for a range with 200 and the whole body."""


@dataclass(frozen=True)
class WrongRange(RangeAnswer):
    """Answer 206 with another range; if `honest`, Content-Range says which range it is."""

    shift: int = 1
    honest: bool = True


@dataclass(frozen=True)
class Gzip(BodyAnswer):
    """Compress the body with gzip, although the client did not ask for that."""


@dataclass(frozen=True)
class DropDigestHeader(Answer):
    """Leave out Docker-Content-Digest."""


@dataclass
class Fault:
    """Which requests get an action, and how many times.

    Kind "blob" with a body action also matches the content host, to which blobs are redirected.
    `action` may be a tuple of actions for one answer, such as (NoLength(), Cut(9)). The first
    `skip` matching requests are answered correctly, and after that all but one of `every`.
    `applied` counts the requests that got the fault.
    """

    kind: FaultKind
    action: Action | tuple[Action, ...]
    method: str | None = None
    contains: str | None = None
    times: int | None = 1
    skip: int = 0
    every: int = 1
    applied: int = field(default=0, init=False)

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions as a tuple, even if there is only one."""
        return self.action if isinstance(self.action, tuple) else (self.action,)


@dataclass(frozen=True)
class Target:
    """The facts of a request that the script compares."""

    kind: str
    method: str
    path: str
    ranged: bool = False
    redirecting: bool = False


class Faults:
    """The script: each request gets the first fault that matches and is not used up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []

    def add(self, *faults: Fault) -> Fault:
        """Append to the script; return the last fault, so that a test can read `applied`."""
        with self._lock:
            self._script.extend(faults)
        return faults[-1]

    def clear(self) -> None:
        """Empty the script; a request that already has a fault keeps it."""
        with self._lock:
            self._script.clear()

    def take(self, target: Target, phase: type[Action]) -> tuple[Action, ...]:
        """Return the actions for this request in this phase (`Arrival`, then `Answer`).

        An answer fault has precedence over later arrival faults in the script, except a delay.
        """
        taken: tuple[Action, ...] = ()
        with self._lock:
            for fault in self._script:
                if not _matches(fault, target):
                    continue
                if not isinstance(fault.actions[0], phase):
                    if phase is Arrival:
                        break
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    break
                fault.skip = fault.every - 1
                fault.applied += 1
                taken += fault.actions
                if not isinstance(fault.actions[0], Delay):
                    break
        return taken


def _matches(fault: Fault, target: Target) -> bool:
    if fault.times is not None and fault.applied >= fault.times:
        return False
    if fault.method not in {None, target.method}:
        return False
    if fault.contains is not None and fault.contains not in target.path:
        return False
    return _matches_kind(fault, target) and all(_applies(one, target) for one in fault.actions)


def _matches_kind(fault: Fault, target: Target) -> bool:
    if fault.kind in {"any", target.kind}:
        return True
    follows = isinstance(fault.actions[0], BodyAnswer | NoLength | ExpireUrl)
    return fault.kind == "blob" and target.kind == "cdn" and follows


def _applies(action: Action, target: Target) -> bool:
    match action:
        case ExpireUrl():
            return target.kind == "cdn"
        case RangeAnswer() if not target.ranged:
            return False
        case BodyAnswer():
            return target.method != "HEAD" and not target.redirecting
        case NoLength():
            return not target.redirecting
    return True
