"""Draws docstrings at random, for a reader who does not know the project.

    python -m tests.architecture.docstring_sample [COUNT] [SEED]

The reader marks each docstring that needs a second reading. The same seed draws the same docstrings
from the same tree.
"""

import ast
import random
import sys
from collections.abc import Iterator

from tests.architecture.source import read_sources


def list_docstrings() -> Iterator[tuple[str, str]]:
    """Yield each docstring of `registry/`: where it stands, and its text."""
    for source in read_sources("registry"):
        for node in source.nodes:
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                name = getattr(node, "name", "(the module)")
                line = getattr(node, "lineno", 1)
                if text:
                    yield f"{source.place}:{line} {name}", text


def main(count: int = 60, seed: int = 0) -> None:
    """Print `count` docstrings, drawn with `seed`."""
    found = sorted(list_docstrings())
    for place, text in random.Random(seed).sample(found, min(count, len(found))):
        indented = text.replace("\n", "\n    ")
        sys.stdout.write(f"{place}\n    {indented}\n\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
