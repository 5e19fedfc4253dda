"""Waiting for a condition, and not for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def await_truth(condition: Callable[[], T], seconds: float = 30.0) -> T:
    """Return the first true value of `condition`; fail if the time is over."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"nothing came of it within {seconds} s"
        time.sleep(0.005)
    return value
