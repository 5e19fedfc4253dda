"""The sources, read as the interpreter reads them, for the laws in this folder."""

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("registry", "tests", "benchmarks")


@dataclass(frozen=True)
class Import:
    """One module that another one imports, wherever in the file, type-only ones included."""

    importer: str
    line: int
    module: str


@dataclass(frozen=True, eq=False)
class Source:
    """A file of the project; `module` is dotted, and that of a package without `__init__`."""

    path: Path
    module: str
    text: str
    tree: ast.Module

    @property
    def place(self) -> str:
        """The path as an editor takes it."""
        return str(self.path.relative_to(ROOT))

    @property
    def room(self) -> str:
        """The room of a module of `registry`: a folder or a file, named without `registry`."""
        return self.module.partition(".")[2].partition(".")[0]

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the file."""
        return tuple(ast.walk(self.tree))


@cache
def read_sources(*folders: str) -> tuple[Source, ...]:
    """Read every Python file below these folders."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(map(_read, paths))


@cache
def _read(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(path, module, text, ast.parse(text, str(path)))


def find_imports(source: Source) -> list[Import]:
    """Return what a file imports; `from a import b` means `a.b` where that is a module of ours."""
    ours = {each.module for each in read_sources(*FOLDERS)}
    found = []
    for node in source.nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in ours else node.module for name in inside]
        else:
            continue
        found += [Import(source.module, node.lineno, name) for name in dict.fromkeys(names)]
    return found
