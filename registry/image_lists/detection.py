"""Finding out the kind of a file that names images, and reading files of all kinds.

The functions get the name and the bytes of a file, and open no file and no connection.
"""

import codecs
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath
from types import MappingProxyType

from registry.errors import ListInvalid
from registry.image_lists.compose import read_compose
from registry.image_lists.dockerfile import read_dockerfile
from registry.image_lists.kubernetes import read_kubernetes
from registry.image_lists.location import Location
from registry.image_lists.plain import read_list
from registry.image_lists.results import Findings
from registry.image_lists.yaml_tree import read_top_keys

MAX_SIZE = 32 * 2**20  # bytes of one source
STDIN = "-"

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ENCODINGS: Mapping[bytes, str] = MappingProxyType(
    {
        codecs.BOM_UTF8: "utf-8-sig",
        # Windows PowerShell writes UTF-16 with `>`.
        codecs.BOM_UTF16_LE: "utf-16",
        codecs.BOM_UTF16_BE: "utf-16",
    }
)
_BUILD_NAME = re.compile(r"(?:dockerfile|containerfile).*|.*\.(?:dockerfile|containerfile)")
_COMPOSE_NAME = re.compile(r"(?:docker-)?compose.*\.ya?ml")
_YAML_NAME = re.compile(r".*\.(?:ya?ml|json)")
_FIRST_INSTRUCTION = re.compile(r"\ufeff?(?:\s+|#[^\r\n]*)*+(?:FROM|ARG)[ \t]", re.IGNORECASE)
# For templates whose lines before the keys are not valid YAML.
_KEY_LINE = re.compile(r"^(?:apiVersion|kind):", re.MULTILINE)


class Kind(StrEnum):
    """The kind of a source; any YAML that is not a compose file counts as Kubernetes."""

    LIST = "list"
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"
    DOCKERFILE = "dockerfile"


def detect(name: str, text: str) -> Kind:
    """Return the kind of a file by its name, or by its text if the name is not enough."""
    base = PurePath(name).name.lower()
    if _COMPOSE_NAME.fullmatch(base):
        return Kind.COMPOSE
    if _YAML_NAME.fullmatch(base):
        return _find_yaml(text) or Kind.KUBERNETES
    if _BUILD_NAME.fullmatch(base):
        return Kind.DOCKERFILE
    if base.endswith(".txt"):
        return Kind.LIST
    if _FIRST_INSTRUCTION.match(text):
        return Kind.DOCKERFILE
    return _find_yaml(text) or Kind.LIST


def find_images(
    data: bytes,
    name: str,
    *,
    kind: Kind | None = None,
    variables: Mapping[str, str] = _NOTHING,
    arguments: Mapping[str, str] = _NOTHING,
) -> Findings:
    """Return the images that a source names; `name` is its path for messages, `-` for stdin.

    `kind` replaces the result of `detect`. `variables` are for compose files (see
    `gather_variables`), `arguments` for the ARGs of a Dockerfile.

    Raises:
        ListInvalid: the source cannot be read; the message has the line, and what to do.
    """
    source = "stdin" if name == STDIN else name
    text = decode(data, source)
    match kind or detect(name, text):
        case Kind.LIST:
            return read_list(text, source)
        case Kind.COMPOSE:
            return read_compose(text, source, variables)
        case Kind.KUBERNETES:
            return read_kubernetes(text, source)
        case Kind.DOCKERFILE:
            return read_dockerfile(text, source, arguments)


def decode(data: bytes, source: str) -> str:
    """Decode a source: UTF-8, or UTF-16 with a byte-order mark.

    Raises:
        ListInvalid: the source has another encoding, or more than 32 MiB.
    """
    location = Location(source, 0)
    if len(data) > MAX_SIZE:
        raise location.refuse(f"more than {MAX_SIZE >> 20} MiB", "give it in parts")
    encodings = (each for mark, each in _ENCODINGS.items() if data.startswith(mark))
    try:
        return data.decode(next(encodings, "utf-8"))
    except UnicodeDecodeError:
        raise location.refuse("not a text in UTF-8", "save it as UTF-8") from None


def _find_yaml(text: str) -> Kind | None:
    """Return the kind of a YAML text; None if its first document is not a mapping."""
    found = None
    try:
        for key, is_mapping in read_top_keys(text, ""):
            if key in ("apiVersion", "kind"):
                return Kind.KUBERNETES
            if key == "services" and is_mapping:
                return Kind.COMPOSE
            found = Kind.KUBERNETES
    except ListInvalid:
        return Kind.KUBERNETES if found or _KEY_LINE.search(text) else None
    return found
