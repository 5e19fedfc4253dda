"""Figures that the tests of faults report."""

import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def note(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], None]:
    """Prints a figure past the capture of output: it belongs to the result."""

    def say(figure: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {request.node.name}: {figure}\n")

    return say
