"""Patterns of image names, as people type them: familiar names, and globs."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.oci.digest import Digest
from registry.oci.names import (
    Reference,
    Repository,
    parse_reference,
    parse_repository,
)

_GLOB = frozenset("*?[")


def parse_image(text: str, default_registry: str) -> tuple[Repository, Reference]:
    """Read an image as docker does: no tag means `latest`, no registry the default one.

    Raises:
        InvalidInput: a part of it is outside its grammar.
    """
    name, at, digest = text.partition("@")
    bare, tag = _split_tag(name)
    repository = parse_repository(_complete(bare, default_registry))
    if at:
        return repository, Digest.parse(digest)
    return repository, parse_reference("latest" if bare == name else tag)


@dataclass(frozen=True, slots=True)
class ImagePattern:
    """A glob over image names; without a tag or digest it means all of a repository."""

    names: str
    references: str

    @classmethod
    def parse(cls, text: str, default_registry: str) -> "ImagePattern":
        """Read what was typed: a `*` matches any characters, `/` included."""
        name, _, digest = text.partition("@")
        bare, tag = _split_tag(name)
        if not bare.startswith("*"):
            bare = _complete(bare, default_registry)
        return cls(bare, digest or tag or "*")

    @classmethod
    def parse_exact(cls, text: str, default_registry: str) -> "ImagePattern":
        """Read what was typed where a name without a tag means `latest`, unless it is a glob.

        Raises:
            InvalidInput: a name that is no glob is outside the grammar.
        """
        if is_pattern(text):
            return cls.parse(text, default_registry)
        repository, reference = parse_image(text, default_registry)
        return cls(str(repository), str(reference))

    @property
    def is_exact(self) -> bool:
        """Whether it means one name only."""
        return not is_pattern(self.names + self.references)

    def matches(self, repository: str, reference: str) -> bool:
        """Whether an image of this name is meant."""
        return fnmatchcase(repository, self.names) and fnmatchcase(reference, self.references)


def is_pattern(text: str) -> bool:
    """Whether what was typed can mean several images."""
    return not _GLOB.isdisjoint(text)


def _split_tag(name: str) -> tuple[str, str]:
    bare, colon, tag = name.rpartition(":")
    return (bare, tag) if colon and "/" not in tag else (name, "")


def _complete(name: str, default_registry: str) -> str:
    first, slash, rest = name.partition("/")
    registry = default_registry
    if slash and (first == "localhost" or not {".", ":"}.isdisjoint(first)):
        registry, name = first, rest
    if registry == "docker.io" and "/" not in name:
        name = f"library/{name}"
    return f"{registry}/{name}"
