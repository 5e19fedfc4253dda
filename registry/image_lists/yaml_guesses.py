"""Texts in a YAML document that look like images, with the line of each.

Operators get the images that they start as arguments, variables, texts of ConfigMaps, or fields of
their own resources. Nothing says for sure that such a text is an image.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from registry.image_lists.image_texts import find_image_texts, is_image_name, is_plausible
from registry.image_lists.yaml_tree import Field, Node

SKIPPED_FIELDS = frozenset({"labels", "managedFields", "status"})
# This annotation repeats the whole object, as it was before.
_REPEATED = "kubectl.kubernetes.io/last-applied-configuration"
_SKIPPED = SKIPPED_FIELDS | {_REPEATED, "binaryData"}
_TAGS = ("tag", "newTag")
# In files for a CI, these fields have images, such as `container: node:18`.
_CI_FIELDS = frozenset({"container", "services"})
_CI_NAME = "image"


@dataclass(frozen=True, slots=True)
class Guess:
    """A text that looks like an image, its line, and the path of its field in the document."""

    image: str
    line: int
    path: str


def find_guesses(node: Node, *, is_secret: bool = False) -> Iterator[Guess]:
    """Yield the texts of an object that look like images, in their order; repetitions too.

    Labels, `status` and the coded data of secrets are not read. `is_secret` limits the search to
    texts that are certainly not what is secret.
    """
    is_object = "kind" in node.fields
    yield from _Search(is_secret=is_secret, is_object=is_object).walk(node, node.line, "", "")


def find_defaults(node: Node, name: str = "", path: str = "") -> Iterator[Guess]:
    """Yield the values in a schema that are defaults and look like images."""
    search = _Search(is_secret=False, is_object=True)
    for key, field in node.fields.items():
        below = f"{path}.{key}" if path else key
        if key == "default":
            yield from search.walk(field.node, field.line, name, below)
        else:
            yield from find_defaults(field.node, key, below)
    for number, item in enumerate(node.items):
        yield from find_defaults(item, name, f"{path}[{number}]")


def join_parts(node: Node) -> tuple[str, int]:
    """Return the image that a mapping has in parts, and its line; "" and 0 if it has none.

    It has a `repository` (or `image`, or with `newTag` a `newName` or `name`), and a `tag`,
    `newTag` or `digest`, as in the values of charts.
    """
    is_renamed = "newTag" in node.fields  # by a kustomization
    if {"repository", "name"} <= node.fields.keys():
        return "", 0  # some charts put the name after the repository, and others do not
    names = ("newName", "name") if is_renamed else ("repository", "image")
    key = next((each for each in names if node.find(each).text), "")
    name = node.find(key).text or ""
    tag = next((text for each in _TAGS if (text := node.find(each).text)), "")
    digest = node.find("digest").text or ""
    if not name or not (tag or digest) or ":" in name.rpartition("/")[2]:
        return "", 0
    registry = node.find("registry").text
    parts = (f"{registry}/" if registry else "", name, tag and f":{tag}", digest and f"@{digest}")
    image = "".join(parts)
    return (image, node.fields[key].line) if is_plausible(image) else ("", 0)


@dataclass(frozen=True, slots=True)
class _Search:
    is_secret: bool
    is_object: bool  # an object of Kubernetes, and not a file for a CI

    def walk(self, node: Node, line: int, name: str, path: str) -> Iterator[Guess]:
        """Yield the guesses in a value; `name` says what it is."""
        if node.text is not None:
            yield from self._read_text(node, node.text, line, name, path)
        joined, joined_line = join_parts(node)
        if joined:
            yield Guess(joined, joined_line, path)
        for key, field in node.fields.items():
            is_read = (joined and key == "image") or (self.is_secret and key == "data")
            if key not in _SKIPPED and not is_read:
                yield from self._read_field(node, key, field, path)
        flag = ""
        for number, item in enumerate(node.items):
            yield from self.walk(item, item.line, flag or name, f"{path}[{number}]")
            # In a list of arguments, the value comes after its name.
            text = item.text or ""
            flag = text if text.startswith("-") and is_image_name(text) else ""

    def _read_field(self, node: Node, key: str, field: Field, path: str) -> Iterator[Guess]:
        name = key
        if key == "value":  # as in the variables of a container: {name: ..., value: ...}
            name = node.find("name").text or key
        elif key in _CI_FIELDS and not self.is_object:
            name = _CI_NAME
        below = f"{path}.{key}" if path else key
        if "/" in key and ":" in key:  # as the features of a development container
            for _, image in find_image_texts(key, "", is_secret=True):
                yield Guess(image, field.line, path)
        yield from self.walk(field.node, field.line, name, below)

    def _read_text(self, node: Node, text: str, line: int, name: str, path: str) -> Iterator[Guess]:
        for number, image in find_image_texts(text, name, is_secret=self.is_secret):
            place = node.line + 1 + number if node.is_literal else line
            yield Guess(image, place, path)
