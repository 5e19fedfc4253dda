"""One command: start everyone, run every case in turns, print and save the table.

    python -m benchmarks                               the whole table, into docs/evidence/bench
    python -m benchmarks --quick                       a case of each kind once, reduced: 4 minutes
    python -m benchmarks --case hot --scale 0.1        one case, reduced
    python -m benchmarks growth                        how cost grows with clients and content

Figures that miss a bar do not fail the command; a case of ours that cannot be run does.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Case, open_bench, run_case, say
from benchmarks.cases import CASES
from benchmarks.growth import measure_growth
from benchmarks.machine import describe_machine
from benchmarks.report import print_report, save_report
from benchmarks.results import US, ImageOutcome

EVIDENCE = Path("docs/evidence/bench")
QUICK_SCALE = 0.04
QUICK_SECONDS = 1.0
ENOUGH = 3  # rounds, for a median that is worth keeping


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=("table", "growth"), default="table")
    parser.add_argument(
        "--case", action="append", choices=[case.name for case in CASES], help="may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=5, help="at most, of each case (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="of sizes and counts (1.0)")
    parser.add_argument("--seconds", type=float, default=5.0, help="that wrk asks (5)")
    parser.add_argument("--quick", action="store_true", help="once, reduced, as a report")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"for JSON, Markdown, picture ({EVIDENCE}; reduced or short runs: only when given)",
    )
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.rounds, chosen.scale, chosen.seconds = 1, QUICK_SCALE, QUICK_SECONDS
    if chosen.out is None and chosen.scale == 1 and chosen.rounds >= ENOUGH:
        chosen.out = EVIDENCE
    return chosen


def choose_cases(names: Sequence[str] | None, *, is_quick: bool = False) -> list[Case]:
    """Return these cases in the order of the table.

    Where none is named, all; in a quick run, those that are no repeats.
    """
    if names:
        return [case for case in CASES if case.name in names]
    return [case for case in CASES if not (is_quick and case.is_repeat)]


def run(arguments: Sequence[str]) -> int:
    """Measure, print, save; 1 when a case of ours could not be run."""
    chosen = parse_arguments(arguments)
    with open_bench(chosen.scale, chosen.seconds) as bench:
        machine = describe_machine(bench)
        if chosen.what == "growth":
            measure_growth(bench, chosen.out, machine)
            return 0
        outcomes: dict[str, ImageOutcome] = {}
        for case in choose_cases(chosen.case, is_quick=chosen.quick):
            outcomes[case.name] = run_case(bench, case, chosen.rounds)
            if chosen.out is not None:  # after each, so that a broken run has not been for nothing
                save_report(chosen.out, CASES, outcomes, machine)
    sys.stdout.write(print_report(CASES, outcomes, machine))
    broken = [name for name, outcome in outcomes.items() if US in outcome.failures]
    if broken:
        say(f"could not be run for {US}: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
