"""The same failure for another listener.

An error that is kept and raised again and again collects the traceback of everybody who heard it,
and with it their frames: requests, buffers, all that they held.
"""

from typing import TypeVar

from registry.errors import EntrepotError

E = TypeVar("E", bound=EntrepotError)


def retell(error: E) -> E:
    """Return a fresh error with the facts of `error`, and none of its history."""
    again = error.__class__.__new__(error.__class__)
    again.args = error.args
    again.__dict__.update(error.__dict__)
    return again
