"""Count what the program does on its usual journeys: files entered, calls between files.

    python -m tests.journeys                                the table
    python -m tests.journeys --json before.json             and the figures in a file
    python -m tests.journeys --compare before.json          and beside those of before
    python -m tests.journeys --journey import --calls out   and each call, in out/import.txt

What counts as a call stands in `tests/journeys/tracer.py`. Each journey is run three times. The
table has the medians, and in parentheses the least and the most where they differ.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from tests.journeys.counts import draw, rank_pairs, sum_up
from tests.journeys.journeys import JOURNEYS, Journey
from tests.journeys.questions import QUESTIONS, find_unknown
from tests.journeys.report import compare, load, print_table, save
from tests.journeys.traced import find_program
from tests.journeys.tracer import Call


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.journeys",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [journey.name for journey in JOURNEYS]
    parser.add_argument("--journey", action="append", choices=names, help="may be repeated")
    parser.add_argument("--runs", type=int, default=3, help="of each journey (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="figures of before")
    parser.add_argument("--calls", type=Path, metavar="FOLDER", help="write the calls of one run")
    return parser.parse_args(arguments)


def trace(journey: Journey, runs: int) -> list[list[Call]]:
    """Return the calls of several runs of a journey."""
    with tempfile.TemporaryDirectory() as folder:
        running = journey.run(Path(folder))
        try:
            return list(islice(running, runs))
        finally:
            running.close()


def main(arguments: Sequence[str]) -> int:
    """Trace, print, save; 2 where the table of questions names what does not exist."""
    chosen = parse_arguments(arguments)
    if unknown := find_unknown(QUESTIONS, find_program()):
        sys.stderr.write(f"tests/journeys/questions.py names functions that are not: {unknown}\n")
        return 2
    figures = {}
    for journey in JOURNEYS:
        if chosen.journey and journey.name not in chosen.journey:
            continue
        sys.stderr.write(f"{journey.title}\n")
        runs = trace(journey, chosen.runs)
        figures[journey.title] = sum_up(runs)
        if chosen.calls:
            chosen.calls.mkdir(parents=True, exist_ok=True)
            text = f"{draw(runs[-1])}\nbetween files:\n{rank_pairs(runs[-1])}"
            (chosen.calls / f"{journey.name}.txt").write_text(text, encoding="utf-8")
    if chosen.json:
        save(chosen.json, figures, chosen.runs)
    sys.stdout.write(print_table(figures))
    if chosen.compare:
        sys.stdout.write("\n" + compare(load(chosen.compare), figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
