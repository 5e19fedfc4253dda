"""The figures as tables in Markdown, and as a file."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.results import Spread

Figures = Mapping[str, Mapping[str, Spread]]  # by the titles of journey and figure


def print_table(figures: Figures) -> str:
    """One line for each journey, one column for each figure."""
    titles = next(iter(figures.values()), {})
    rows = [[journey, *map(_format, found.values())] for journey, found in figures.items()]
    return _draw(["journey", *titles], rows)


def compare(before: Figures, after: Figures) -> str:
    """One line for each figure that both have: before, after, and what is left of it."""
    rows = [
        [journey, title, _format(former), _format(found), _divide(found.median, former.median)]
        for journey, titles in after.items()
        for title, found in titles.items()
        if (former := before.get(journey, {}).get(title)) is not None
    ]
    return _draw(["journey", "figure", "before", "after", "after / before"], rows)


def _format(spread: Spread) -> str:
    median = f"{spread.median:g}"
    if spread.least == spread.most:
        return median
    return f"{median} ({spread.least:g} to {spread.most:g})"


def _divide(after: float, before: float) -> str:
    return f"{after / before:.2f}" if before else "-"


def _draw(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def save(path: Path, figures: Figures, runs: int) -> None:
    """Write the figures, and where they are from."""
    document = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "runs": runs,
        "journeys": {
            journey: {title: asdict(found) for title, found in titles.items()}
            for journey, titles in figures.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> Figures:
    """Read what `save` wrote."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        journey: {title: Spread(**found) for title, found in titles.items()}
        for journey, titles in document["journeys"].items()
    }
