"""What can go wrong, and the script that says when."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FaultKind = Literal["manifest", "blob", "cdn", "token", "tags", "referrers", "ping", "any"]


class Action:
    """Something that goes wrong."""


class Arrival(Action):
    """Goes wrong before the request is looked at, so before authorization too."""


class Answer(Action):
    """Goes wrong in an answer that would otherwise have been good."""


class BodyAnswer(Answer):
    """Goes wrong in the body, so it neither befalls a HEAD nor a redirect."""


class RangeAnswer(BodyAnswer):
    """Goes wrong only when a range is asked for."""


@dataclass(frozen=True)
class Status(Arrival):
    """This status and body, whatever was asked: 500, 503, a 403 in XML, a portal's 200 page."""

    code: int
    body: bytes | str = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plain429(Arrival):
    """Docker Hub's abuse limiter (HAP429): bare line feeds, plain text, `Retry-After: 60`."""

    retry_after: int = 60


@dataclass(frozen=True)
class Hang(Arrival):
    """Never a byte of an answer."""


@dataclass(frozen=True)
class Delay(Arrival):
    """The answer, or the next fault in the script, this many seconds later."""

    seconds: float


@dataclass(frozen=True)
class ExpireUrl(Arrival):
    """The signed URL answers 403 in XML: `Request has expired`."""


@dataclass(frozen=True)
class Redirect(Answer):
    """307 to this location instead of the answer, once the request was authorized."""

    location: str


@dataclass(frozen=True)
class RedirectLoop(Answer):
    """307 to the same URL."""


@dataclass(frozen=True)
class Cut(BodyAnswer):
    """Close the connection after this many body bytes; `reset` makes it a TCP reset.

    Without `reset` the bytes before the cut do arrive; a reset may overtake them.
    """

    after_bytes: int
    reset: bool = False


@dataclass(frozen=True)
class Stall(BodyAnswer):
    """Send nothing more after this many body bytes; the connection stays open."""

    after_bytes: int


@dataclass(frozen=True)
class Lie(BodyAnswer):
    """The right length with the byte at this position of the content flipped."""

    flip_at: int = 0


@dataclass(frozen=True)
class Endless(BodyAnswer):
    """More than there should be: chunked zeros for ever, or up to a declared total length."""

    declared: int | None = None


@dataclass(frozen=True)
class NoLength(Answer):
    """Chunked, without Content-Length."""


@dataclass(frozen=True)
class IgnoreRange(RangeAnswer):
    """200 with the whole body."""


@dataclass(frozen=True)
class WrongRange(RangeAnswer):
    """206 that starts elsewhere; `honest` says so in Content-Range."""

    shift: int = 1
    honest: bool = True


@dataclass(frozen=True)
class Gzip(BodyAnswer):
    """Content-Encoding gzip, though nobody asked for it."""


@dataclass(frozen=True)
class DropDigestHeader(Answer):
    """No Docker-Content-Digest."""


@dataclass
class Fault:
    """Which requests an action befalls, and how often.

    Kind "blob" with a body action befalls the body wherever it is sent, so after a redirect too.
    `action` may be a tuple of answer actions that befall the same answer, as (NoLength(), Cut(9)).
    `skip` lets that many matching requests pass first; `applied` counts.
    """

    kind: FaultKind
    action: Action | tuple[Action, ...]
    method: str | None = None
    contains: str | None = None
    times: int | None = 1
    skip: int = 0
    applied: int = field(default=0, init=False)

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions, also when there is only one."""
        return self.action if isinstance(self.action, tuple) else (self.action,)


@dataclass(frozen=True)
class Target:
    """A request as the script sees it."""

    kind: str
    method: str
    path: str
    ranged: bool = False
    redirecting: bool = False


class Faults:
    """The script: for each request the first live fault that matches it comes true."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []

    def add(self, *faults: Fault) -> Fault:
        """Append to the script; gives the last one back, for its `applied`."""
        with self._lock:
            self._script.extend(faults)
        return faults[-1]

    def clear(self) -> None:
        """Forget the script; what has already befallen a request goes on."""
        with self._lock:
            self._script.clear()

    def take(self, target: Target, phase: type[Action]) -> tuple[Action, ...]:
        """The actions that befall this request in this phase (`Arrival`, then `Answer`).

        An answer fault holds the turn of the arrival faults behind it; a delay does not.
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
    return _matches_kind(fault, target) and all(_befalls(one, target) for one in fault.actions)


def _matches_kind(fault: Fault, target: Target) -> bool:
    if fault.kind in {"any", target.kind}:
        return True
    follows = isinstance(fault.actions[0], BodyAnswer | NoLength | ExpireUrl)
    return fault.kind == "blob" and target.kind == "cdn" and follows


def _befalls(action: Action, target: Target) -> bool:
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
