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
from registry.image_lists.compose import is_version_1, read_compose
from registry.image_lists.dockerfile import read_dockerfile
from registry.image_lists.kubernetes import read_kubernetes
from registry.image_lists.location import Location
from registry.image_lists.plain import read_list
from registry.image_lists.results import Findings
from registry.image_lists.unread_files import find_unread_kind
from registry.image_lists.yaml_tree import NOTHING, read_documents, read_top_keys

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
_YAML_NAME = re.compile(r".*\.(?:ya?ml|jsonc?)")
_COMMENTED_JSON_NAME = re.compile(r"\.?devcontainer\.json|.*\.jsonc")
_JSON_COMMENT = re.compile(r'("(?:\\.|[^"\\])*+")|//[^\r\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)')
_BLANKED = re.compile(r"[^\r\n]")
_FIRST_INSTRUCTION = re.compile(r"\ufeff?(?:\s+|#[^\r\n]*)*+(?:FROM|ARG)[ \t]", re.IGNORECASE)
# For templates whose lines before the keys are not valid YAML.
_KEY_LINE = re.compile(r"^(?:apiVersion|kind):", re.MULTILINE)


class Kind(StrEnum):
    """The kind of a source; any YAML that is not a compose file counts as Kubernetes.

    So the readers of Kubernetes YAML also get the lists of other programs (`mirror_lists.py`).
    """

    LIST = "list"
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"
    DOCKERFILE = "dockerfile"


def detect(name: str, text: str) -> Kind:
    """Return the kind of a file by its name, or by its text if the name is not enough.

    Raises:
        ListInvalid: it is a file of a kind that is not read; the message says which.
    """
    base = PurePath(name).name.lower()
    if _COMPOSE_NAME.fullmatch(base):
        return Kind.COMPOSE
    is_build = _BUILD_NAME.fullmatch(base) is not None
    if not is_build:  # `Dockerfile.go` is no program, and `Containerfile.container` no unit
        _refuse_unread(name, text)
    if _YAML_NAME.fullmatch(base):
        return _find_yaml(text) or Kind.KUBERNETES
    if is_build:
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
            if _COMMENTED_JSON_NAME.fullmatch(PurePath(name).name.lower()):
                text = _remove_comments(text)
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
        _refuse_unread(source, "")
        raise location.refuse("not a text in UTF-8", "save it as UTF-8") from None


def _refuse_unread(name: str, text: str) -> None:
    if unread := find_unread_kind(PurePath(name).name.lower(), text):
        location = Location("stdin" if name == STDIN else name, 0)
        raise location.refuse(f"it is {unread.what}, which is not read", unread.cure)


def _remove_comments(text: str) -> str:
    """Replace the comments of JSON with comments by spaces, so that lines stay what they are."""
    return _JSON_COMMENT.sub(lambda found: found[1] or _BLANKED.sub(" ", found[0]), text)


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
        if found and is_version_1(next(read_documents(text, ""), NOTHING)):
            return Kind.COMPOSE
    except ListInvalid:
        return Kind.KUBERNETES if found or _KEY_LINE.search(text) else None
    return found
