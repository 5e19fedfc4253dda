"""The table: Markdown for people, JSON for programs, into which the next run is merged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from benchmarks.bench import Case
from benchmarks.chart import draw_bars
from benchmarks.results import MEASURES, US, ImageOutcome, Spread, State, Verdict, judge

MARKS: Mapping[State, str] = MappingProxyType(
    {
        State.MET: "✔ met",
        State.MISSED: "✘ missed",
        State.UNKNOWN: "? unknown",
    }
)
CAPTION = """\
Medians of interleaved rounds, with the least and the most in parentheses. A ratio is Entrepôt's
figure divided by the other program's, within one round. The bar is the figure to reach; the median
of the rounds is compared with it. All programs ran on this machine in the same run, with request
logs on. Entrepôt had its default settings, and metrics on.
"""


def print_report(
    cases: Sequence[Case], outcomes: Mapping[str, ImageOutcome], machine: Mapping[str, str]
) -> str:
    """Return the whole report in Markdown: bars first, then every figure."""
    known = [(case, outcomes[case.name]) for case in cases if case.name in outcomes]
    lines = ["# Entrepôt beside its peers", "", CAPTION, "| | |", "| --- | --- |"]
    lines += [f"| {key} | {value} |" for key, value in machine.items()]
    lines += ["", "## The bars", "", "| case | bar | found | |", "| --- | --- | --- | --- |"]
    for case, outcome in known:
        for verdict in _judge_all(case, outcome):
            lines.append(f"| {outcome.headline} | {verdict.bar} | {_found(outcome, verdict)} |")
        lines += [f"| {outcome.headline} | | {note} | |" for note in outcome.notes]
    lines += ["", "## The figures"]
    for _, outcome in known:
        lines += ["", f"### {outcome.headline}", ""]
        lines += [f"{outcome.when}; {outcome.context}", "", *_table(outcome)]
    return "\n".join(lines) + "\n"


def _judge_all(case: Case, outcome: ImageOutcome) -> list[Verdict]:
    return [judge(outcome, bar) for bar in case.bars]


def _found(outcome: ImageOutcome, verdict: Verdict) -> str:
    mark = MARKS[verdict.state]
    if verdict.found is None:
        return f"{verdict.why} | {mark}"
    # A small blob is all start-up: what it says of a bar is a hint, not a verdict.
    mark = mark if outcome.scale == 1 else f"reduced: would be {mark}"
    times = " x" if verdict.bar.against else ""
    times += f" {verdict.rival}" if len(verdict.bar.against) > 1 else ""
    spread = verdict.found
    found = f"{spread.median:.4g}{times} ({spread.least:.4g} to {spread.most:.4g})"
    return f"{found}{verdict.why and f'; {verdict.why}'} | {mark}"


def _table(outcome: ImageOutcome) -> list[str]:
    measures = outcome.measures()
    heads = [*(MEASURES[name][0] for name in measures), "rounds"]
    lines = [f"| | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for name in dict.fromkeys([*outcome.samples, *outcome.missing, *outcome.failures]):
        cells = [_cell(outcome.spread(name, measure), measure) for measure in measures]
        cells.append(str(len(outcome.samples.get(name, ()))))
        trouble = outcome.failures.get(name) or outcome.missing.get(name)
        why = "" if trouble is None else f": {'missing' if name in outcome.missing else 'failed'}"
        reason = f"{why}, {trouble}" if trouble else ""
        label = f"**{name}**" if name == US else name
        lines.append(f"| {label}{reason.replace('|', '/')} | {' | '.join(cells)} |")
    return [line.replace("\n", " ") for line in lines]


def _cell(spread: Spread | None, measure: str) -> str:
    if spread is None:
        return "-"
    decimals = MEASURES[measure][1]
    median = f"{spread.median:,.{decimals}f}"
    if spread.least == spread.most:
        return median
    return f"{median} ({spread.least:,.{decimals}f} to {spread.most:,.{decimals}f})"


def save_report(
    folder: Path,
    cases: Sequence[Case],
    outcomes: Mapping[str, ImageOutcome],
    machine: Mapping[str, str],
) -> None:
    """Write JSON, Markdown and picture; cases that were not run keep what was known of them."""
    folder.mkdir(parents=True, exist_ok=True)
    merged = load_outcomes(folder / "bench.json") | dict(outcomes)
    document = {
        "machine": dict(machine),
        "cases": [
            asdict(merged[case.name])
            | {"bars": [_describe_verdict(one) for one in _judge_all(case, merged[case.name])]}
            for case in cases
            if case.name in merged
        ],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / "bench.json").write_text(text + "\n", encoding="utf-8")
    report = print_report(cases, merged, machine)
    (folder / "bench.md").write_text(report, encoding="utf-8")
    (folder / "bench.svg").write_text(draw_bars(cases, merged), encoding="utf-8")


def load_outcomes(path: Path) -> dict[str, ImageOutcome]:
    """Read what an earlier run has saved; nothing where there is none."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    outcomes = {}
    for table in document["cases"]:
        table.pop("bars")
        outcomes[table["name"]] = ImageOutcome(**table | {"notes": tuple(table["notes"])})
    return outcomes


def _describe_verdict(verdict: Verdict) -> dict[str, object]:
    found = None if verdict.found is None else asdict(verdict.found)
    return {
        "bar": str(verdict.bar),
        "state": verdict.state.value,
        "found": found,
        "rival": verdict.rival,
        "why": verdict.why,
    }
