"""Which functions below a folder are called, and from which file: what counts as a call.

- Only functions in files below the folder count. What the interpreter generates (the `__init__` of
  a dataclass) is in no file, so it does not count; a property and a lambda count as functions do.
- The caller is the nearest function below the folder on the stack of the same thread, however many
  functions of libraries are between the two.
- A coroutine or a generator is called when its body begins. Going on after a wait is not a call.
- Comprehensions and generator expressions are part of the function in which they are written.
- The first function of a task is called by whoever made its coroutine. A function that runs in a
  thread is called by whoever gave it to the thread pool. A function that the event loop calls has
  no caller: its file is entered, but that is no call between files.
- What runs while a module is imported does not count.
- Tasks of the program's own that ran before the journey began do not count, with all that they
  call and give to threads: heartbeats, accepting connections, writing now and then what was noted.
"""

import asyncio
import asyncio.events
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import _WorkItem
from dataclasses import dataclass
from opcode import opmap
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

PARTS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
CO_RESUMABLE = 0x20 | 0x80 | 0x200  # generator, coroutine, asynchronous generator
RESUME = opmap["RESUME"]
IMPORTING = "<frozen importlib._bootstrap>"
SUBMIT = ThreadPoolExecutor.submit.__code__
RUN_IN_THREAD = _WorkItem.run.__code__
RUN_IN_LOOP = asyncio.events.Handle._run.__code__


@dataclass(frozen=True, slots=True)
class Place:
    """A function, or a file where `name` is empty; `path` is below the folder."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that counts. `caller` is None where the event loop or the interpreter called.

    `depth` is how many functions below the folder were on the stack; `argument` is the first
    argument as text, if the tracer was asked for it. `is_in_loop` says whether an event loop ran
    in the thread, or the thread is not the first one.
    """

    depth: int
    caller: Place | None
    callee: Place
    argument: str = ""
    is_in_loop: bool = True


@dataclass(frozen=True, slots=True)
class _Known:
    code: CodeType  # kept, so that no other code gets its identity
    place: Place
    starts: frozenset[int] | None  # where a generator's or coroutine's body begins
    is_part: bool


@dataclass(frozen=True, slots=True)
class _Stack:
    depth: int
    caller: Place | None


class Tracer:
    """Calls `record` for each call while `journey` returns a number other than 0.

    `wants_argument` says of which functions the first argument is recorded too.
    """

    def __init__(
        self,
        folder: Path,
        journey: Callable[[], int],
        record: Callable[[int, Call], None],
        wants_argument: Callable[[Place], bool] = lambda _: False,
    ) -> None:
        self._prefix = f"{folder}/"
        self._journey = journey
        self._record = record
        self._wants_argument = wants_argument
        self._number = 0
        self._former: set[asyncio.Task[Any]] = set()
        self._known: dict[int, _Known | None] = {}
        self._others: list[CodeType] = []  # kept, so that no function gets the identity of one
        self._given: dict[int, _Stack | None] = {}  # work for threads, by its identity

    def install(self) -> None:
        """Trace this thread, the threads it starts, and the processes that it forks."""
        sys.set_coroutine_origin_tracking_depth(1)
        threading.setprofile(self.profile)
        sys.setprofile(self.profile)

    def remove(self) -> None:
        """Stop tracing this thread and the threads to come."""
        sys.setprofile(None)
        threading.setprofile(None)
        sys.set_coroutine_origin_tracking_depth(0)

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        """See `sys.setprofile`."""
        if event != "call" or not (number := self._journey()):
            return
        if number != self._number:
            self._number, self._former = number, self._list_own_tasks()
            self._given.clear()
        if frame.f_code is SUBMIT:
            self._given[id(frame.f_locals["fn"])] = self._look_up(frame)
            return
        known = self._find(frame.f_code)
        if known is None or known.is_part or known.place.name == "<module>":
            return
        if known.starts is not None and frame.f_lasti not in known.starts:
            return
        stack = self._look_up(frame)
        if stack is not None:
            argument = self._read_argument(frame) if self._wants_argument(known.place) else ""
            call = Call(stack.depth, stack.caller, known.place, argument, _is_in_loop())
            self._record(number, call)

    def _look_up(self, frame: FrameType) -> _Stack | None:
        """Return who called; None where the call does not count."""
        depth, caller = 0, None
        above: FrameType | None = frame.f_back
        while above is not None:
            if above.f_code is RUN_IN_LOOP:
                return self._find_maker(depth, caller)
            if above.f_code is RUN_IN_THREAD:
                given = self._given.get(id(above.f_locals["self"].fn))
                return given and _Stack(depth, caller or given.caller)
            if above.f_code.co_filename == IMPORTING:
                return None
            if known := self._find(above.f_code):
                depth += not known.is_part
                caller = caller or known.place
            above = above.f_back
        return _Stack(depth, caller)

    def _find_maker(self, depth: int, caller: Place | None) -> _Stack | None:
        task = asyncio.current_task()
        if task in self._former:
            return None
        if task is not None and caller is None:
            origin = getattr(task.get_coro(), "cr_origin", None) or [("", 0, "")]
            path, _, name = origin[0]
            if path.startswith(self._prefix):
                caller = Place(path.removeprefix(self._prefix), name)
        return _Stack(depth, caller)

    def _find(self, code: CodeType) -> _Known | None:
        try:
            return self._known[id(code)]
        except KeyError:
            known = self._known[id(code)] = self._examine(code)
            return known

    def _examine(self, code: CodeType) -> _Known | None:
        if not code.co_filename.startswith(self._prefix):
            self._others.append(code)
            return None
        place = Place(code.co_filename.removeprefix(self._prefix), code.co_qualname)
        starts = _find_starts(code) if code.co_flags & CO_RESUMABLE else None
        return _Known(code, place, starts, code.co_name in PARTS)

    def _list_own_tasks(self) -> set[asyncio.Task[Any]]:
        try:
            tasks = asyncio.all_tasks()
        except RuntimeError:  # no loop runs yet, so there are no tasks
            return set()
        return {task for task in tasks if self._find(_read_code(task)) is not None}

    @staticmethod
    def _read_argument(frame: FrameType) -> str:
        names = [name for name in frame.f_code.co_varnames[:2] if name != "self"]
        return str(frame.f_locals.get(names[0], "")) if names else ""


def _find_starts(code: CodeType) -> frozenset[int]:
    """Return the offsets of RESUME at a body's beginning: its argument's low bits are 0 there."""
    raw = code.co_code
    return frozenset(
        offset
        for offset in range(0, len(raw), 2)
        if raw[offset] == RESUME and raw[offset + 1] & 3 == 0
    )


def _is_in_loop() -> bool:
    is_first = threading.get_ident() == threading.main_thread().ident
    return not is_first or asyncio._get_running_loop() is not None


def _read_code(task: asyncio.Task[Any]) -> CodeType:
    coroutine = task.get_coro()
    return getattr(coroutine, "cr_code", None) or _read_code.__code__
