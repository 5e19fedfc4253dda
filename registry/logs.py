"""The log: one line per event on stderr, for people on a terminal, as JSON elsewhere."""

import asyncio
import json
import logging
import os
import sys
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

STDERR = 2  # its descriptor
ATOMIC = 4096  # bytes that a pipe takes whole or not at all (PIPE_BUF)


def configure_logs() -> None:
    """Set up structlog, and the libraries that log by `logging`, for this process and its forks."""
    rendering = _render_for_people() if os.isatty(STDERR) else _render_for_machines()
    structlog.configure(
        processors=[structlog.processors.add_log_level, *rendering, _encode],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_Lines,
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
    """Writes lines whole, however many processes share the stream.

    What is logged in one turn of the event loop goes out together at its end: a call for each line
    would take as long as all else that is done for a manifest from memory. Troubles go out at once:
    the process may not live to see the end. A log that takes no more, as its disk is full or its
    reader has left, costs nobody a pull.
    """

    def __init__(self, *_: object) -> None:
        """Structlog passes what the logger was asked for with."""
        self._waiting: deque[bytes] = deque()
        self._size = 0

    def info(self, line: bytes) -> None:
        if self._size + len(line) > ATOMIC:
            self._write()
        if not self._waiting:
            try:
                asyncio.get_running_loop().call_soon(self._write)
            except RuntimeError:  # a command, the supervisor, or a thread
                self.error(line)
                return
        self._waiting.append(line)
        self._size += len(line)

    def error(self, line: bytes) -> None:
        self._waiting.append(line)
        self._write()

    warning = critical = error

    def _write(self) -> None:
        lines = []
        with suppress(IndexError):
            while True:  # a thread may log meanwhile
                lines.append(self._waiting.popleft())
        self._size = 0
        with suppress(OSError):
            os.write(STDERR, b"".join(lines))


def _render_for_people() -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [stamp, structlog.dev.ConsoleRenderer()]


def _render_for_machines() -> list[Processor]:
    return [structlog.processors.format_exc_info, _render_json]


def _render_json(_: object, __: str, event: EventDict) -> str:
    event["timestamp"] = datetime.now(UTC)
    try:
        # A microsecond, where the standard library takes fifteen: there is a line per request.
        return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # bytes that are no UTF-8, which a client may have put into its request line
        return json.dumps(event, default=str)


def _encode(_: object, __: str, line: Any) -> bytes:
    return f"{line}\n".encode("utf-8", "backslashreplace")
