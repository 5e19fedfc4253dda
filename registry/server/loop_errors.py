"""Errors that the event loop reports, and nobody awaits."""

import asyncio
from typing import Any

# Of what the loop knows, these have no values. The text of a callback has its arguments, and that
# of a future its result.
_SHOWN = ("message", "exception", "source_traceback", "handle_traceback")


def limit_reports(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop of this process report no values, and not that a connection has ended twice.

    If a client with TLS leaves while bytes for it wait, asyncio can run the end of its connection
    twice (seen in Python 3.11.7). The second run finds nothing left to close, and does no harm, but
    the log would have a traceback.
    """
    loop.set_exception_handler(_report)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    callback = getattr(context.get("handle"), "_callback", None)
    is_end = getattr(callback, "__name__", "") == "_call_connection_lost"
    if not (is_end and isinstance(context.get("exception"), AttributeError)):
        shown = {key: context[key] for key in _SHOWN if key in context}
        if callback is not None:
            name = getattr(callback, "__qualname__", type(callback).__name__)
            shown["message"] = f"Exception in callback {name}"
        loop.default_exception_handler(shown)
