"""The log: one line of JSON on stderr for each event.

On a terminal, `cli/screen.py` reads these lines and shows what people want to know.
"""

import asyncio
import json
import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import orjson

from registry.errors.masking import mask_secrets


@contextmanager
def _hide_library(name: str) -> Iterator[None]:
    """Let a library look as if it were not installed, for what is imported in the `with` block."""
    kept = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if kept is not None:
            sys.modules[name] = kept


# structlog imports rich if it is there, for lines with colours, which are not written here. That
# would take 4 MiB of memory, and a tenth of the time that a server needs to start. It also imports
# greenlet, which the tests of the console have installed.
with _hide_library("rich"), _hide_library("greenlet"):
    import structlog
    from structlog.typing import EventDict

STDERR = 2  # the descriptor
ATOMIC = 4096  # bytes that one write puts into a pipe as a whole, or not at all (PIPE_BUF)
_DELETE = b"\x7f"
_USUAL = frozenset({"debug", "info"})  # levels of what only we say, and not a library
MAX_WAIT = 0.1  # seconds to wait until stderr accepts more, if it is non-blocking


def get_logger(name: str) -> Any:
    """Return the logger for a room or a file, which `name` names; the log lines do not have it."""
    return structlog.get_logger(name)


def configure_logs(least: int = logging.INFO) -> None:
    """Set up structlog and `logging` for this process and for the processes that it forks.

    Events below the level `least` are not written.
    """
    output = _Lines(least)
    # Traces are without the values of variables, because some of these are secret. Messages of
    # exceptions are masked with the whole line.
    trace = structlog.processors.format_exc_info
    structlog.configure(
        processors=[structlog.processors.add_log_level, trace, _Watch(), _encode_json],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=True,
    )
    # Libraries log by `logging`.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                trace,
                _render_json,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _Watch:
    """A step for each event that is not about a request: `note` gets it too."""

    def __init__(self) -> None:
        self.note: Callable[[Mapping[str, Any]], None] | None = None

    def __call__(self, _: object, method: str, event: EventDict) -> EventDict:
        if self.note is not None and method != "debug" and event.get("event") != "request":
            self.note(event)
        return event


def watch_events(note: Callable[[Mapping[str, Any]], None]) -> None:
    """Call `note` with each event that this process logs from now on, apart from requests."""
    for step in structlog.get_config()["processors"]:
        if isinstance(step, _Watch):
            step.note = note


def is_written(level: int) -> bool:
    """Whether events of this level are written; see `configure_logs`."""
    output = structlog.get_config()["logger_factory"]()
    return not isinstance(output, _Lines) or level >= output.least


class WriteLine(Protocol):
    """Writes a line."""

    def __call__(self, times: int, /, **fields: object) -> None:
        """Write a line with further fields, `times` times."""


def prepare_lines(event: str, level: int, **fields: object) -> WriteLine:
    """Return a function that writes lines about `event`, all with these fields.

    `level` is `logging.INFO` or `logging.WARNING`. A line is what a logger of structlog would
    write, but `fields` are encoded only once, and a line that is written several times too: a line
    of structlog takes as long as all other work for a manifest from memory.
    """
    output = structlog.get_config()["logger_factory"]()
    if not isinstance(output, _Lines) or level < output.least:
        return partial(_log, structlog.get_logger().bind(**fields), event, level)
    name = logging.getLevelName(level).lower()
    try:
        begin = orjson.dumps(fields, default=repr)[:-1] + b"," * bool(fields)
    except TypeError:  # bytes that are not UTF-8
        return partial(_log, structlog.get_logger().bind(**fields), event, level)
    begin = begin if _is_plain(begin) else _escape(begin)
    write_line = getattr(output, name)

    def write(times: int, /, **others: object) -> None:
        # The first byte of the encoded dictionary is its brace, which `begin` has already.
        line = begin + _encode_json(None, "", others | {"event": event, "level": name})[1:]
        write_line(line, times)

    return write


def _log(log: Any, event: str, level: int, times: int, **fields: object) -> None:
    for _ in range(times):
        log.log(level, event, **fields)


class _Lines:
    """Writes whole lines in order, even if several threads and processes share stderr.

    Lines below the level of a warning are written together at the end of the event loop's turn. A
    system call for each line would take as long as all other work for a manifest from memory.
    Warnings and errors are written at once, because the process may end before the end of the turn.
    If stderr accepts no more, because its disk is full or its reader has ended, lines are lost, and
    pulls continue.
    """

    def __init__(self, least: int) -> None:
        self.least = least
        self._pending: list[bytes] = []
        self._size = 0
        self._loop: asyncio.AbstractEventLoop | None = (
            None  # the loop that will write the pending lines
        )
        self._lock = threading.Lock()

    def info(self, line: bytes, times: int = 1) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a command, the supervisor, or a thread
            self.error(line, times)
            return
        with self._lock:
            self._add(line, times)
            if self._loop is not loop:
                self._loop = loop
                loop.call_soon(self._end_turn)

    def error(self, line: bytes, times: int = 1) -> None:
        with self._lock:
            self._add(line, times)
            self._write()

    debug = info
    warning = critical = error

    def _end_turn(self) -> None:
        with self._lock:
            self._loop = None
            self._write()

    def _add(self, line: bytes, times: int) -> None:
        while times:
            if self._size + len(line) > ATOMIC:
                self._write()
            count = min(times, max(1, (ATOMIC - self._size) // len(line)))
            self._pending.append(line * count)
            self._size += len(line) * count
            times -= count

    def _write(self) -> None:
        unwritten = memoryview(b"".join(self._pending))
        self._pending.clear()
        self._size = 0
        with suppress(OSError):
            while unwritten:
                try:
                    unwritten = unwritten[os.write(STDERR, unwritten) :]
                except BlockingIOError:  # a process that shares stderr has made it non-blocking
                    if not select.select([], [STDERR], [], MAX_WAIT)[1]:
                        return


def _encode_json(_: object, __: str, event: EventDict) -> bytes:
    """Return the event as one line of JSON."""
    event["timestamp"] = datetime.now(UTC)
    try:
        # orjson takes 1 µs, and json 15 µs: that matters for a line for each request.
        line = orjson.dumps(
            event, default=repr, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
        )
    except TypeError:  # bytes that are not UTF-8, which a client may put into its request line
        event["timestamp"] = event["timestamp"].isoformat().replace("+00:00", "Z")
        line = f"{json.dumps(event, default=repr)}\n".encode()
    if event.get("level") not in _USUAL:
        line = mask_secrets(line.decode()).encode()
    return line if _is_plain(line) else _escape(line)


def _is_plain(line: bytes) -> bool:
    return line.isascii() and _DELETE not in line


def _escape(line: bytes) -> bytes:
    """Escape in a line of JSON each character that a terminal could take for a command.

    JSON itself escapes only the first 32 characters. Others begin commands of terminals too.
    """
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1]
        for each in line.decode().replace("\x7f", "\\u007f")
    ).encode()


def _render_json(logger: object, name: str, event: EventDict) -> str:
    return _encode_json(logger, name, event).decode().rstrip("\n")
