"""Laws of classes in tests that inherit from a class of the product, to replace a part of it."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Source, read_sources

Method = ast.FunctionDef | ast.AsyncFunctionDef


def list_classes(*folders: str) -> Iterator[tuple[Source, ast.ClassDef]]:
    """Yield every class of these folders with its file."""
    for source in read_sources(*folders):
        for node in source.nodes:
            if isinstance(node, ast.ClassDef):
                yield source, node


def list_methods(node: ast.ClassDef) -> set[str]:
    """Return the names of the methods that a class defines, without those of Python itself."""
    names = {each.name for each in node.body if isinstance(each, Method)}
    return {name for name in names if not name.startswith("__")}


def list_bases(node: ast.ClassDef) -> list[str]:
    """Return the names of the classes that a class names as its bases."""
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    return [ast.unparse(base).rpartition(".")[2] for base in bases]


def list_inherited(name: str, product: dict[str, ast.ClassDef]) -> set[str]:
    """Return the names of the methods of a class of the product and of its own bases."""
    node = product.get(name)
    if node is None:
        return set()
    above = [list_inherited(base, product) for base in list_bases(node) if base != name]
    return list_methods(node).union(*above)


def list_called(class_name: str) -> set[str]:
    """Return the names of all attributes that files which name this class use."""
    return {
        node.attr
        for source in read_sources("tests", "benchmarks")
        if class_name in source.text
        for node in source.nodes
        if isinstance(node, ast.Attribute)
    }


def test_replaced_methods_exist() -> None:
    """A method that replaces one of the product is renamed with it: else it is never called.

    A further method is allowed if a test calls it, in a file that names the class.
    """
    product = {node.name: node for _, node in list_classes("registry")}
    wrong = [
        f"{source.place}:{node.lineno} {node.name}.{method}: {base} has no such method"
        for source, node in list_classes("tests", "benchmarks")
        for base in list_bases(node)
        if base in product
        for method in sorted(list_methods(node) - list_inherited(base, product))
        if method not in list_called(node.name)
    ]

    assert wrong == [], "\n".join(wrong)
