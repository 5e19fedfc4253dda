"""The body of an answer: its bytes, its headers, and how it ends. Pure."""

import gzip
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.fakes.upstream.conduct import Conduct
from tests.fakes.upstream.content import Content, Flipped, Held, Inverted, read_all
from tests.fakes.upstream.faults import (
    Action,
    Cut,
    DropDigestHeader,
    Endless,
    Gzip,
    IgnoreRange,
    Invert,
    Lie,
    LieEvery,
    LieInside,
    NoLength,
    Stall,
    WrongRange,
)

SINGLE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class Body:
    """The bytes `start` to `stop` of a content; `length` None means chunked.

    After `limit` bytes, `ending` happens and the rest is not sent.
    """

    content: Content
    start: int
    stop: int
    status: int = 200
    length: int | None = None
    limit: int | None = None
    ending: Literal["whole", "cut", "reset", "stall", "endless"] = "whole"
    headers: dict[str, str] = field(default_factory=dict)

    def end(self, ending: Literal["cut", "reset", "stall"], limit: int) -> None:
        """Let the body end in this way after `limit` bytes."""
        self.ending = ending
        self.limit = limit


def shape_body(
    content: Content,
    asked: str | None,
    actions: Sequence[Action],
    conduct: Conduct,
    *,
    rangeable: bool,
) -> Body:
    """Return the body for a request with the Range header `asked`, changed by the actions."""
    honoured = rangeable and conduct.ranges_supported and not _has(actions, IgnoreRange, Gzip)
    body = _cut_span(content, asked if honoured else None)
    if body.status == 206:
        for action in actions:
            if isinstance(action, WrongRange):
                _shift(body, action)
    body.length = body.stop - body.start
    if rangeable and conduct.content_encoding is not None:
        # A blank value is sent; an empty one would mean that there is no such header.
        body.headers["Content-Encoding"] = conduct.content_encoding or " "
    if rangeable and conduct.cut_every is not None and body.length > conduct.cut_every:
        body.end("cut", conduct.cut_every)
    if rangeable and conduct.cut_about_every is not None:
        limit = int(random.expovariate(1 / conduct.cut_about_every))
        if limit < body.length:
            body.end("cut", limit)
    for action in actions:
        _apply(body, action)
    return body


def _has(actions: Sequence[Action], *kinds: type[Action]) -> bool:
    return any(isinstance(action, kinds) for action in actions)


def _cut_span(content: Content, asked: str | None) -> Body:
    size = content.size
    match = SINGLE_RANGE.fullmatch(asked or "")
    if match is None or not any(match.groups()):
        return Body(content, 0, size)
    first, last = match.groups()
    if first:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return Body(content, 0, size)
    else:
        start, stop = max(0, size - int(last)), size
    if start >= size:
        return Body(Held(b""), 0, 0, 416, headers={"Content-Range": f"bytes */{size}"})
    return Body(content, start, stop, 206, headers={"Content-Range": _name(start, stop, size)})


def _name(start: int, stop: int, size: int) -> str:
    return f"bytes {start}-{stop - 1}/{size}"


def _shift(body: Body, action: WrongRange) -> None:
    length = body.stop - body.start
    body.start = max(0, min(body.start + action.shift, body.content.size - 1))
    body.stop = min(body.start + length, body.content.size)
    if action.honest:
        body.headers["Content-Range"] = _name(body.start, body.stop, body.content.size)


def _find_lies(body: Body, action: Lie | LieInside | LieEvery) -> Iterable[int]:
    """Return which bytes of the content are inverted."""
    match action:
        case Lie(flip_at):
            return (flip_at,)
        case LieEvery(step, at):
            return range(at, body.content.size, step)
        case LieInside(over) if body.stop - body.start > over:
            return ((body.start + body.stop) // 2,)
    return ()


def _apply(body: Body, action: Action) -> None:
    match action:
        case Cut(after_bytes, reset):
            body.end("reset" if reset else "cut", after_bytes)
        case Stall(after_bytes):
            body.end("stall", after_bytes)
        case Lie() | LieInside() | LieEvery():
            body.content = Flipped(body.content, *_find_lies(body, action))
        case Invert():
            body.content = Inverted(body.content)
        case Endless(declared):
            body.ending = "endless"
            body.length = declared
        case NoLength():
            body.length = None
        case Gzip():
            packed = gzip.compress(read_all(body.content), compresslevel=1)
            body.content = Held(packed)
            body.start, body.stop, body.length = 0, len(packed), len(packed)
            body.headers["Content-Encoding"] = "gzip"
        case DropDigestHeader():
            body.headers["Docker-Content-Digest"] = ""
