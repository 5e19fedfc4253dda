"""Laws of the error tree: all of it drawn, all of it answered, in one place only."""

import ast
import inspect
import re

from registry import errors
from registry.api.errors import find_status
from tests.architecture.source import read_sources

# Rooms that errors pass on their way to a client.
ON_THE_WAY = frozenset({"api", "mirror", "oci", "errors"})


def list_errors() -> list[type[errors.EntrepotError]]:
    """Return every class of the tree, root first."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    found = [kind for kind in kinds if issubclass(kind, errors.EntrepotError)]
    return sorted(found, key=lambda kind: (len(kind.__mro__), kind.__name__))


def read_drawing() -> dict[str, str]:
    """Return class -> parent, as the module's docstring draws them."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    (?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)\b", line)
        if found is None:
            continue
        depth = len(found["branches"])
        while above and above[-1][0] >= depth:
            above.pop()
        parents[found["name"]] = above[-1][1] if above else "Exception"
        above.append((depth, found["name"]))
    return parents


def test_tree_is_drawn_as_it_is() -> None:
    """The docstring of `registry.errors` shows every class below its parent, and no other."""
    assert {kind.__name__: kind.__bases__[0].__name__ for kind in list_errors()} == read_drawing()


def make(kind: type[errors.EntrepotError]) -> errors.EntrepotError:
    return kind.__new__(kind)


def test_every_error_is_answered() -> None:
    """Each error a pull can meet has a row of its own or of its family: none falls to the root."""
    root = find_status(make(errors.EntrepotError))
    operators = (errors.BundleInvalid, errors.StoreError, errors.SettingsError)
    unanswered = [
        kind.__name__
        for kind in list_errors()[1:]
        if find_status(make(kind)) == root and not issubclass(kind, operators)
    ]
    assert unanswered == []


def test_statuses_are_decided_in_one_place() -> None:
    """Only `api/errors.py` hands out 4xx and 5xx, and nobody raises aiohttp's."""
    wrong = []
    for source in read_sources("registry"):
        if source.room not in ON_THE_WAY or source.module == "registry.api.errors":
            continue
        for node in source.nodes:
            if isinstance(node, ast.Call):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                given = {each.value for each in values if isinstance(each, ast.Constant)}
                if any(type(value) is int and 400 <= value < 600 for value in given):
                    wrong.append(f"{source.place}:{node.lineno} gives a status")
            if isinstance(node, ast.Attribute) and re.match("HTTP[A-Z]", node.attr):
                wrong.append(f"{source.place}:{node.lineno} uses {node.attr}")
    assert wrong == [], "\n".join(wrong)
