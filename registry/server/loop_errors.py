"""Errors that the event loop reports, and nobody awaits."""

import asyncio
from typing import Any


def ignore_second_ends(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop of this process not report that a connection has ended twice.

    If a client with TLS leaves while bytes for it wait, asyncio can run the end of its connection
    twice (seen in Python 3.11.7). The second run finds nothing left to close, and does no harm, but
    the log would have a traceback.
    """
    loop.set_exception_handler(_report)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    callback = getattr(context.get("handle"), "_callback", None)
    is_end = getattr(callback, "__name__", "") == "_call_connection_lost"
    if not (is_end and isinstance(context.get("exception"), AttributeError)):
        loop.default_exception_handler(context)
