"""What a journey asks, and how often: the only table here that names functions of `registry`.

A function is named by the end of its file's path below `registry/` and by its own name. Change the
row when the file or the function gets another name, and leave the title, which connects the
figures of before and after.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.journeys.tracer import Place

Function = tuple[str, str]


@dataclass(frozen=True)
class Question:
    """A question, and the functions that answer it.

    Only calls from another file count. If the first argument contains a digest, calls are counted
    for each digest, and the result is the largest count.
    """

    title: str
    functions: frozenset[Function]


def _ask(title: str, path: str, *names: str) -> Question:
    return Question(title, frozenset((path, name) for name in names))


QUESTIONS = (
    _ask("store, for one digest", "store/local.py", "stat", "read", "adopt", "open", "claim"),
    _ask("routing table", "mirror/routing.py", "route"),
    _ask("catalog reads", "catalog/database.py", "read", "survey"),
    _ask("catalog writes", "catalog/database.py", "write"),
    _ask("work in threads", "tasks.py", "in_thread"),
)


def answers(question: Question, place: Place) -> bool:
    """Whether a function is one of the question's."""
    name = place.name.rpartition(".")[2]
    return any(name == own and place.path.endswith(end) for end, own in question.functions)


def find_unknown(questions: Iterable[Question], root: Path) -> list[Function]:
    """Return the functions in the table that do not exist below `root`."""
    known = {(path, name) for path, name in _list_functions(root)}
    return sorted(
        (end, name)
        for question in questions
        for end, name in question.functions
        if not any(own == name and path.endswith(end) for path, own in known)
    )


def _list_functions(root: Path) -> Iterator[Function]:
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield file.relative_to(root).as_posix(), node.name
