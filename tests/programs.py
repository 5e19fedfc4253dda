"""Build the programs that the tests drive, once for all later runs: `python -m tests.programs`.

A test would build its program by itself, but within its time limit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.clients import programs
from tests.conformance import suite
from tests.harness import go_programs
from tests.harness.go_programs import GoMissing
from tests.packaging import chart, compose_program, index_programs

AT_ONCE = 2  # one links or downloads while the other compiles on all cores


def main() -> None:
    """Build what is missing, and say how long each program took."""
    clients = [partial(programs.build, name) for name in programs.BUILT]
    others = [suite.binary, compose_program.command, index_programs.prepare]
    others.append(partial(go_programs.build, chart.OPERATOR))
    with ThreadPoolExecutor(AT_ONCE) as builders:
        for said in builders.map(_build, [*others, *clients]):
            sys.stdout.write(f"{said}\n")
            sys.stdout.flush()


def _build(build: Callable[[], object]) -> str:
    begun = time.monotonic()
    try:
        return f"{build()} ready after {time.monotonic() - begun:.0f} s"
    except GoMissing as missing:  # the tests that need it are skipped, or in CI fail, by name
        return str(missing)


if __name__ == "__main__":
    main()
