"""A simulated month: endpoints come, slow down, lie and die; the mirror's own code decides.

    python -m benchmarks.month                       the month of seed 1: a few minutes
    python -m benchmarks.month --seed 1 2 3          and of others, to see the spread
    python -m benchmarks.month --days 2 --out X      two days in which all of that happens

The same pulls are made of a mirror that measures its endpoints, of one that asks them in the order
written, and of mirrors with one endpoint each. Only clock and network are simulated.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.month.contents import ImageContents
from benchmarks.month.picture import draw_month
from benchmarks.month.play import Played, Policy, play
from benchmarks.month.results import MEASURED, WRITTEN, print_table, summarize_all
from benchmarks.month.script import DAYS, PULLS_A_DAY, Month, write_month
from registry.logs import configure_logs


def list_policies(month: Month) -> dict[str, Policy]:
    """Return the policies that are compared, by name; those with one endpoint have its name."""
    names = tuple(endpoint.name for endpoint in month.endpoints)
    several = {MEASURED: Policy(names, is_measured=True), WRITTEN: Policy(names)}
    return several | {name: Policy((name,)) for name in names}


def play_all(month: Month) -> dict[str, Played]:
    """Play a month with each policy, as many at once as there are processors."""
    policies = list_policies(month)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(policies, pool.map(partial(_play, month), policies.values()), strict=True))


def _play(month: Month, policy: Policy) -> Played:
    configure_logs(logging.CRITICAL)  # what endpoints do wrong is written in the script
    return play(month, ImageContents(month), policy)


def describe(month: Month) -> str:
    """Return what is in a month as Markdown."""
    size = sum(month.images[image].size for _, image in month.pulls) / len(month.pulls) / 2**20
    order = ", ".join(f"`{endpoint.name}`" for endpoint in month.endpoints)
    return (
        f"Seed {month.seed}: {month.days:g} days, {len(month.pulls):,} pulls of {size:.1f} MiB on"
        f" average. The order written: {order}."
    )


def run(arguments: Sequence[str]) -> int:
    """Play, print, save."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.month",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="one or several (1)")
    parser.add_argument("--days", type=float, default=DAYS, help=f"of the month ({DAYS})")
    parser.add_argument("--pulls", type=int, default=PULLS_A_DAY, help=f"a day ({PULLS_A_DAY})")
    parser.add_argument("--out", type=Path, help="a folder for the picture of each seed")
    chosen = parser.parse_args(arguments)
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)  # before a run of minutes
    for seed in chosen.seed:
        month, began = write_month(seed, chosen.days, chosen.pulls), time.monotonic()
        results = play_all(month)
        table = print_table(summarize_all(results))
        sys.stdout.write(f"{describe(month)}\n\n{table}\n\n")
        sys.stderr.write(f"seed {seed}: {time.monotonic() - began:.0f} s\n")
        if chosen.out is not None:
            picture = draw_month(month, results)
            (chosen.out / f"month-{seed}.svg").write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
