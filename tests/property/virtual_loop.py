"""An event loop whose time jumps, with threads that are none: the same every time, and at once."""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing but what is there already; instead, the time moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("nothing would ever happen again")
        if not events and timeout is not None:
            self.now += max(0.0, timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Timers fire in their order, without waiting; real sockets and threads have no place here."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class InlineExecutor(ThreadPoolExecutor):
    """Runs the work at once, in the caller's thread, as `execute` wants it run."""

    def __init__(self, execute: Callable[[Callable[[], Any], "Future[Any]"], None]) -> None:
        super().__init__(1)
        self._execute = execute

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self._execute(lambda: fn(*args, **kwargs), future)
        return future
