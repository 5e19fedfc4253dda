"""Laws of counting, on a program of two files: what is a call, and who called."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.results import Spread
from tests.journeys.counts import CALLS, FILES, KINDS, count, draw
from tests.journeys.questions import QUESTIONS, Question, answers, find_unknown
from tests.journeys.report import compare
from tests.journeys.traced import find_program
from tests.journeys.tracer import Call, Place, Tracer

ONE = """
import asyncio
from . import two

def call_twice():
    two.plain()
    two.plain()

def call_through_library():
    return sorted([2, 1], key=two.same)

def call_in_comprehension():
    return [two.plain() for _ in range(3)]

def read_numbers():
    return list(two.list_numbers())

def make():
    return two.Thing(1).size

def load():
    from . import three

async def wait():
    await two.wait_often()

async def begin_task():
    await asyncio.create_task(two.wait_often())

async def use_thread():
    return await asyncio.to_thread(two.work)

async def tick(rounds):
    while True:
        rounds.put_nowait(1)
        two.plain()
        await asyncio.to_thread(two.work)
"""
TWO = """
import asyncio
from dataclasses import dataclass

@dataclass
class Thing:
    width: int

    @property
    def size(self):
        return self.width

def plain():
    pass

def same(value):
    return value

def list_numbers():
    yield 1
    yield 2

async def wait_often():
    for _ in range(5):
        await asyncio.sleep(0)

def work():
    plain()
"""
THREE = """
from .two import plain

plain()
"""


class Toy:
    """The program, and the calls that the tracer records."""

    def __init__(self, folder: Path, program: ModuleType) -> None:
        self.program = program
        self.number = 0
        self.calls: list[Call] = []
        self._tracer = Tracer(
            folder,
            lambda: self.number,
            lambda _, call: self.calls.append(call),
            lambda place: place.name == "same",
        )

    def trace(self, act: Callable[[], object]) -> list[str]:
        """Return the calls of `act`, each as "caller > callee"."""
        self.calls.clear()
        self._tracer.install()
        try:
            self.number += 1
            act()
        finally:
            self._tracer.remove()
        return [f"{call.caller or ''} > {call.callee}" for call in self.calls]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    folder = tmp_path / "toy_program"
    folder.mkdir()
    for name, text in (("__init__", ""), ("one", ONE), ("two", TWO), ("three", THREE)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield Toy(folder, import_module("toy_program.one"))
    for name in [name for name in sys.modules if name.startswith("toy_program")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("call_twice", ["one.py:call_twice > two.py:plain"] * 2),
        ("call_through_library", ["one.py:call_through_library > two.py:same"] * 2),
        (
            "call_in_comprehension",
            ["one.py:call_in_comprehension.<locals>.<listcomp> > two.py:plain"] * 3,
        ),
        ("read_numbers", ["one.py:read_numbers > two.py:list_numbers"]),
        ("make", ["one.py:make > two.py:Thing.size"]),
        ("load", []),
    ],
)
def test_a_call_is_counted_once(toy: Toy, name: str, expected: list[str]) -> None:
    """Each call of a function in the other file counts, and nothing else does.

    Libraries between the two files do not hide the caller; going on in a generator, generated
    functions, and what runs while a module is imported are no calls.
    """
    assert toy.trace(getattr(toy.program, name)) == [f" > one.py:{name}", *expected]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wait", ["one.py:wait > two.py:wait_often"]),
        ("begin_task", ["one.py:begin_task > two.py:wait_often"]),
        ("use_thread", ["one.py:use_thread > two.py:work", "two.py:work > two.py:plain"]),
    ],
)
def test_waiting_hides_no_caller(toy: Toy, name: str, expected: list[str]) -> None:
    """A coroutine is called once, however often it waits; tasks and threads have a caller."""
    found = toy.trace(lambda: asyncio.run(getattr(toy.program, name)()))

    assert found == [f" > one.py:{name}", *expected]


def test_tasks_from_before_do_not_count(toy: Toy) -> None:
    """What the program does all the time belongs to no journey, nor does its work in threads."""

    async def run() -> None:
        rounds: asyncio.Queue[int] = asyncio.Queue()
        task = asyncio.create_task(toy.program.tick(rounds))
        for _ in range(2):
            await rounds.get()
        assert toy.calls, "the task was not traced while it was new"
        toy.number += 1
        toy.calls.clear()
        asyncio.get_running_loop().call_soon(toy.program.two.plain)
        for _ in range(3):
            await rounds.get()
        task.cancel()

    assert toy.trace(lambda: asyncio.run(run())) == [" > two.py:plain"]


def test_nothing_counts_without_a_journey(toy: Toy) -> None:
    """Number 0 means that nobody wants to know."""
    toy.number = -1
    assert toy.trace(toy.program.call_twice) == []


def test_arguments_are_recorded_if_they_are_wanted(toy: Toy) -> None:
    """A question about one digest needs the first argument of the function that answers it."""
    toy.trace(toy.program.call_through_library)

    assert [call.argument for call in toy.calls] == ["", "2", "1"]


def test_figures_are_what_they_are_called() -> None:
    """Files, calls between two of them, different ones; a question for the digest asked most."""
    question = QUESTIONS[0]
    path, name = min(question.functions)
    one, other, asked = Place("a.py", "one"), Place("b.py", "two"), Place(path, f"Store.{name}")
    assert answers(question, asked)
    calls = [
        Call(0, None, one),
        Call(1, one, Place("a.py", "inside")),
        *[Call(1, one, other)] * 3,
        *[Call(1, other, asked, digest) for digest in ("aa", "bb", "aa")],
        Call(1, Place(path, "Store.inside"), asked, "aa"),
    ]

    figures = count(calls)

    assert figures[FILES] == 3
    assert figures[CALLS] == 6
    assert figures[KINDS] == 2
    assert figures[question.title] == 2
    assert draw(calls[:5]) == "  a.py:one\n    a.py:inside\n*   b.py:two  x 3\n"


def test_comparing_prints_the_remaining_part() -> None:
    """A ratio below 1 means that there is less than before."""
    assert "| tag | files | 4 | 3 (3 to 5) | 0.75 |" in compare(
        {"tag": {"files": Spread(4, 4, 4)}}, {"tag": {"files": Spread(3, 3, 5)}}
    )


def test_every_question_has_its_functions() -> None:
    """A function that was moved or renamed is noticed, instead of never being asked again."""
    wrong = Question("nobody", frozenset({("store/nowhere.py", "stat")}))

    assert find_unknown(QUESTIONS, find_program()) == []
    assert find_unknown([wrong], find_program()) == [("store/nowhere.py", "stat")]
