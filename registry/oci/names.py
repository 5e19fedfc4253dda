"""Repository names, tags, references (distribution-spec, "Pulling manifests")."""

import re
from dataclasses import dataclass

from registry.errors import NameInvalid, NameIsURL, TagInvalid
from registry.oci.digest import Digest

_SEGMENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# A registry in a reference: a host with an optional port. Underscores are not legal in host names,
# but container networks use them.
_REGISTRY = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?::[0-9]{1,5})?")

MAX_NAME = 255  # "many clients impose a limit of 255 characters", distribution-spec


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A name for a manifest of a repository; it can be moved to another manifest."""

    name: str

    def __str__(self) -> str:
        return self.name


Reference = Tag | Digest


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A repository of one registry, e.g. registry `docker.io`, name `library/nginx`."""

    registry: str
    name: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"


def parse_name(text: str) -> str:
    """Return `text` if it is a repository name.

    Raises:
        NameInvalid: the text is outside of the grammar, or longer than 255 characters.
    """
    if len(text) > MAX_NAME or _NAME.fullmatch(text) is None:
        raise NameInvalid(text)
    return text


def parse_registry(text: str) -> str:
    """Return `text` if it is a registry's `host[:port]` in lower case.

    Raises:
        NameInvalid: the text is not a registry, or longer than 255 characters.
    """
    if len(text) > MAX_NAME or ".." in text or _REGISTRY.fullmatch(text) is None:
        raise NameInvalid(text)
    return text


def is_tag(value: object) -> bool:
    """Whether a value is the text of a tag."""
    return isinstance(value, str) and _TAG.fullmatch(value) is not None


def parse_repository(text: str) -> Repository:
    """Read `<registry>/<name>`.

    Raises:
        NameInvalid: the registry or the name is missing, or outside of its grammar.
        NameIsURL: the name begins with `http://` or the like.
    """
    scheme, is_url, bare = text.partition("://")
    if is_url:
        raise NameIsURL(f"{scheme}://", bare)
    registry, _, name = text.partition("/")
    return Repository(parse_registry(registry), parse_name(name))


def parse_reference(text: str) -> Reference:
    """Read a tag or a digest. A text with a colon is a digest, because tags have none.

    Raises:
        DigestInvalid: the text has a colon, and is not a digest.
        TagInvalid: the text has no colon, and is not a tag.
    """
    if ":" in text:
        return Digest.parse(text)
    if _TAG.fullmatch(text) is None:
        raise TagInvalid(text)
    return Tag(text)


def format_image(repository: Repository, reference: Reference) -> str:
    """Return `registry/name:tag` or `registry/name@digest`."""
    return f"{repository}{':' if isinstance(reference, Tag) else '@'}{reference}"
