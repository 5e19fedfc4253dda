"""The log: one line per event on stderr, for people on a terminal, as JSON elsewhere."""

import asyncio
import json
import logging
import os
import select
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

STDERR = 2  # its descriptor
ATOMIC = 4096  # bytes that a pipe takes whole or not at all (PIPE_BUF)
PATIENCE = 0.1  # seconds to wait for a reader where writing does not wait by itself


def configure_logs(least: int = logging.INFO) -> None:
    """Set up structlog, and the libraries that log by `logging`, for this process and its forks.

    What is below the level `least` is not written.
    """
    lines = _Lines()
    rendering = _render_for_people() if os.isatty(STDERR) else _render_for_machines()
    structlog.configure(
        processors=[structlog.processors.add_log_level, *rendering, _encode],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _Lines:
    """Writes lines whole and in order, however many threads and processes share the stream.

    What is logged in one turn of the event loop goes out together at its end: a call for each line
    would take as long as all else that is done for a manifest from memory. Troubles go out at once:
    the process may not live to see the end. A log that takes no more, as its disk is full or its
    reader has left, costs nobody a pull.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = 0
        self._loop: asyncio.AbstractEventLoop | None = None  # which is going to write what waits
        self._lock = threading.Lock()

    def info(self, line: bytes) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a command, the supervisor, or a thread
            self.error(line)
            return
        with self._lock:
            self._add(line)
            if self._loop is not loop:
                self._loop = loop
                loop.call_soon(self._end_turn)

    def error(self, line: bytes) -> None:
        with self._lock:
            self._add(line)
            self._write()

    warning = critical = error

    def _end_turn(self) -> None:
        with self._lock:
            self._loop = None
            self._write()

    def _add(self, line: bytes) -> None:
        if self._size + len(line) > ATOMIC:
            self._write()
        self._waiting.append(line)
        self._size += len(line)

    def _write(self) -> None:
        left = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0
        with suppress(OSError):
            while left:
                try:
                    left = left[os.write(STDERR, left) :]
                except BlockingIOError:  # somebody who shares the stream asked for that
                    if not select.select([], [STDERR], [], PATIENCE)[1]:
                        return


def _render_for_people() -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    # In the order in which facts were noted; in traces no values of variables, which may be secret.
    show = structlog.dev.ConsoleRenderer(
        sort_keys=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )
    return [stamp, show]


def _render_for_machines() -> list[Processor]:
    return [structlog.processors.format_exc_info, _render_json]


def _render_json(_: object, __: str, event: EventDict) -> str:
    event["timestamp"] = datetime.now(UTC)
    try:
        # A microsecond, where the standard library takes fifteen: there is a line per request.
        return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # bytes that are no UTF-8, which a client may have put into its request line
        event["timestamp"] = event["timestamp"].isoformat().replace("+00:00", "Z")
        return json.dumps(event, default=repr)


def _encode(_: object, __: str, line: Any) -> bytes:
    return f"{line}\n".encode("utf-8", "backslashreplace")
