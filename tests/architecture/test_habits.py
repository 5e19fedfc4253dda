"""Laws of how files are written: sizes, names, words, docstrings, no state in modules."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import FOLDERS, ROOT, Source, read_sources

MAX_LINES = 300
MAX_FUNCTION = 50
NAMELESS = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"})
MUTABLE_CALLS = frozenset(
    {"list", "dict", "set", "bytearray", "defaultdict", "OrderedDict", "deque", "Counter"}
)
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
# Spelt so that this file does not break its own law.
UNFINISHED = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b"]))
UNDECIDED = re.compile(r"\bfor " + "now" + r"\b", re.IGNORECASE)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_files_are_short() -> None:
    """A file has at most 300 lines: beyond that a second noun is hiding in it."""
    sources = read_sources(*FOLDERS)
    long = {each.place: len(each.text.splitlines()) for each in sources}
    assert {place: count for place, count in long.items() if count > MAX_LINES} == {}


def test_functions_are_short() -> None:
    """A function has at most 50 lines: beyond that it does two things."""
    long = [
        f"{source.place}:{node.lineno} {node.name}"
        for source in read_sources(*FOLDERS)
        for node in source.nodes
        if isinstance(node, Function) and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION
    ]
    assert long == []


def test_files_are_nouns() -> None:
    """No file has a name that says nothing of what is in it."""
    named = [each.place for each in read_sources(*FOLDERS) if each.path.stem in NAMELESS]
    assert named == []


def test_nothing_is_left_undecided() -> None:
    """What is shipped is finished; what is open stands in the issues."""
    texts = {each.place: each.text for each in read_sources(*FOLDERS)}
    for folder, kind in (("config", "*.toml"), ("registry", "*.sql"), ("docs", "*.md")):
        texts |= {
            str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
            for path in (ROOT / folder).rglob(kind)
        }
    found = [
        f"{place}:{number} {line.strip()}"
        for place, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line) or UNDECIDED.search(line)
    ]
    assert found == []


def list_public(source: Source) -> Iterator[tuple[str, ast.AST]]:
    """Yield the module, its public classes and functions, and their public methods."""
    yield "the module", source.tree
    waiting: list[ast.AST] = [source.tree]
    for owner in waiting:
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, node
                if isinstance(node, ast.ClassDef):
                    waiting.append(node)


def test_public_names_have_docstrings() -> None:
    """Every public module, class, function and method says what it promises."""
    silent = [
        f"{source.place}: {name}"
        for source in read_sources("registry", "benchmarks")
        for name, node in list_public(source)
        if not ast.get_docstring(node)  # type: ignore[arg-type]
    ]
    assert silent == []


def is_mutable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else value.func
        return (name.id if isinstance(name, ast.Name) else name) in MUTABLE_CALLS
    return isinstance(value, MUTABLE)


def list_state(source: Source) -> Iterator[str]:
    """Yield what the module or a class of it binds to something that can be changed in place."""
    owners = [node for node in source.nodes if isinstance(node, ast.Module | ast.ClassDef)]
    for node in (statement for owner in owners for statement in owner.body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = {each.id for each in targets if isinstance(each, ast.Name)} - {"__all__"}
        if isinstance(node, ast.Assign | ast.AnnAssign) and names and is_mutable(node.value):
            yield f"{source.place}:{node.lineno} {names}: wrap it in tuple, frozenset or a proxy"
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield f"{source.place}:{node.lineno} global {node.names}"


def test_modules_hold_no_state() -> None:
    """What changes lives in an object that somebody opened, never in a module or class."""
    sources = read_sources("registry", "benchmarks")
    state = [found for source in sources for found in list_state(source)]
    assert state == []


def test_rooms_open_nothing() -> None:
    """The `__init__` of a room is its question, and nothing else, so importing it costs nothing."""
    busy = [
        source.place
        for source in read_sources("registry")
        if source.path.name == "__init__.py" and source.room and len(source.tree.body) != 1
        if source.room != "errors"  # no room: its `__init__` is the drawn tree and its names
    ]
    assert busy == []
