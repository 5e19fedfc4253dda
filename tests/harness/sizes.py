"""Sizes of measurements: short in `make test`, long in `make test-programs`, full in soak."""

from typing import Any

import pytest


def list_sizes(*short: Any, long: Any, full: Any, seconds: float) -> list[Any]:
    """Return the sizes as parameters of one test; `seconds` is the limit of the full one.

    Tests of which `make test` runs nothing have no `short` one. A size of several arguments is a
    tuple.
    """
    soak = (pytest.mark.soak, pytest.mark.timeout(seconds))
    return [*map(_mark, short), _mark(long, pytest.mark.programs), _mark(full, *soak)]


def _mark(size: Any, *marks: pytest.MarkDecorator) -> Any:
    arguments = size if isinstance(size, tuple) else (size,)
    return pytest.param(*arguments, marks=marks)
