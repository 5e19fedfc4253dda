"""What is counted of one journey, and the figures of several journeys."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from benchmarks.results import Spread
from tests.journeys.questions import QUESTIONS, answers
from tests.journeys.tracer import Call

FILES = "files entered"
CALLS = "calls between files"
KINDS = "of these, different ones"


def list_files(calls: Sequence[Call]) -> list[str]:
    """The files that were entered."""
    return sorted({call.callee.path for call in calls})


def is_between_files(call: Call) -> bool:
    """Whether one file called another."""
    return call.caller is not None and call.caller.path != call.callee.path


def count(calls: Sequence[Call]) -> dict[str, int]:
    """Return the figures of one run by their titles.

    Different calls are pairs of functions: how often they call does not matter, so that neither
    the size of a blob nor the speed of a machine does.
    """
    crossing = [call for call in calls if is_between_files(call)]
    figures = {
        FILES: len(list_files(calls)),
        CALLS: len(crossing),
        KINDS: len({(call.caller, call.callee) for call in crossing}),
    }
    for question in QUESTIONS:
        asked = Counter(call.argument for call in crossing if answers(question, call.callee))
        figures[question.title] = max(asked.values(), default=0)
    return figures


def sum_up(runs: Sequence[Sequence[Call]]) -> dict[str, Spread]:
    """Return the figures of several runs."""
    counted = [count(run) for run in runs]
    return {title: Spread.of([each[title] for each in counted]) for title in counted[0]}


def rank_pairs(calls: Sequence[Call]) -> str:
    """Return how often each file called each other one, the most frequent first."""
    pairs = Counter(
        (call.caller.path, call.callee.path)
        for call in calls
        if call.caller is not None and is_between_files(call)
    )
    return "".join(f"{times:5} {one} -> {other}\n" for (one, other), times in pairs.most_common())


def draw(calls: Sequence[Call]) -> str:
    """Return the calls of a run in their order, indented; `*` marks those between files.

    Neighbours that are the same call are one line. Functions that run in other tasks or threads
    begin at the left, with their caller in brackets.
    """
    lines = [(text, len(list(same))) for text, same in groupby(map(_draw_call, calls))]
    return "".join(f"{text}  x {times}\n" if times > 1 else f"{text}\n" for text, times in lines)


def _draw_call(call: Call) -> str:
    mark = "*" if is_between_files(call) else " "
    maker = f"   [{call.caller}]" if call.caller and not call.depth else ""
    return f"{mark} {'  ' * call.depth}{call.callee}{maker}"
