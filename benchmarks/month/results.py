"""What came of a month, policy by policy: pulls served, times, bytes. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.month.play import Played

MEASURED, WRITTEN = "measured", "written"
HEAD = (
    "| who is asked | served whole | failed | asked again | wrong blobs held"
    " | median, s | 95 % within, s | bytes sent / needed |"
)
KNOWING = "knowing"  # each pull by the endpoint that is the fastest for it, known beforehand


@dataclass(frozen=True)
class Summary:
    """One policy: of `pulls`, `served` were whole; times are in seconds, infinite for those not.

    `repeats` is how often a client had to ask again, `wrong` how many wrong blobs a client held as
    whole, and `excess` the bytes sent by endpoints for each byte of the pulls that were served
    (None: it is not a mirror of its own).
    """

    pulls: int
    served: int
    repeats: int
    wrong: int
    median: float
    most: float  # of 95 % of the pulls
    excess: float | None

    @property
    def failed(self) -> int:
        """How many pulls were not served."""
        return self.pulls - self.served


def summarize(played: Played) -> Summary:
    """Sum up what came of one policy."""
    whole = [pull for pull in played.pulls if pull.seconds is not None]
    sent = sum(map(sum, played.sent.values()))
    needed = sum(pull.size for pull in whole)
    return Summary(
        len(played.pulls),
        len(whole),
        sum(pull.repeats for pull in played.pulls),
        sum(pull.wrong for pull in played.pulls),
        *_sum_up(list_times(played)),
        sent / needed if needed else None,
    )


def list_times(played: Played) -> list[float]:
    """Return the seconds of each pull; infinite if it was not served."""
    return [math.inf if pull.seconds is None else pull.seconds for pull in played.pulls]


def _sum_up(times: Sequence[float]) -> tuple[float, float]:
    """Return the median, and the time that 95 % do not exceed."""
    return _median(times), sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


def _median(times: Sequence[float]) -> float:
    middle = sorted(times)[len(times) // 2]
    return median(times) if math.isfinite(middle) else middle


def list_single(results: Mapping[str, Played]) -> dict[str, Played]:
    """Return the policies with one endpoint, the best one in hindsight first."""
    single = {name: each for name, each in results.items() if name not in (MEASURED, WRITTEN)}
    by_median = sorted(single, key=lambda name: _median(list_times(single[name])))
    return {name: single[name] for name in by_median}


def know_all(results: Mapping[str, Played]) -> list[float]:
    """Return the time of each pull by the endpoint that was the fastest for it."""
    single = list_single(results).values()
    return [min(times) for times in zip(*map(list_times, single), strict=True)]


def summarize_all(results: Mapping[str, Played]) -> dict[str, Summary]:
    """Return the summaries, the mirror's first, and who knows all before at the end."""
    names = (MEASURED, WRITTEN, *list_single(results))
    summaries = {name: summarize(results[name]) for name in names}
    times = know_all(results)
    served = sum(map(math.isfinite, times))
    return summaries | {KNOWING: Summary(len(times), served, 0, 0, *_sum_up(times), None)}


def print_table(summaries: Mapping[str, Summary]) -> str:
    """Return the summaries as Markdown."""
    lines = [
        HEAD,
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in summaries.items():
        excess = "-" if each.excess is None else f"{each.excess:.3f}"
        counts = f"{each.served:,} | {each.failed:,} | {each.repeats:,} | {each.wrong}"
        times = f"{print_seconds(each.median)} | {print_seconds(each.most)}"
        lines.append(f"| {_explain(name)} | {counts} | {times} | {excess} |")
    return "\n".join(lines)


def _explain(name: str) -> str:
    return {
        MEASURED: '**all, `order = "measured"`**',
        WRITTEN: 'all, `order = "written"`',
        KNOWING: "one endpoint, the fastest for each pull, known beforehand",
    }.get(name, f"`{name}` alone")


def print_seconds(seconds: float) -> str:
    """Return seconds for people; a pull that is not served takes for ever."""
    return f"{seconds:.2f}" if math.isfinite(seconds) else "never"
