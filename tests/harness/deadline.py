"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def await_truth(condition: Callable[[], T], seconds: float = 30.0) -> T:
    """Return the first truthy value of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"nothing came of it within {seconds} s"
        time.sleep(0.005)
    return value
