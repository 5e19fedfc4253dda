"""What the conformance tests share: the built suite, a real registry, and a line for a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance import debian_registry, suite
from tests.harness.go_programs import GoMissing


@pytest.fixture(scope="session")
def conformance() -> None:
    """The built suite; without Go a skip by name, in CI a failure."""
    try:
        suite.binary()
    except GoMissing as missing:
        skip_or_fail(str(missing))


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a line even while pytest keeps what tests print."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return print_line


def skip_or_fail(reason: str) -> None:
    """Skip here, but fail where everything is meant to be installed."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty registry of Debian's; without it a skip by name, in CI a failure."""
    if not debian_registry.installed():
        skip_or_fail("docker-registry is not installed")
    folder = tmp_path / "registry"
    folder.mkdir()
    with debian_registry.running(folder) as url:
        yield url
