"""Names of images as people type them: short names as in docker, and globs."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from registry.oci.digest import Digest
from registry.oci.names import (
    Reference,
    Repository,
    parse_reference,
    parse_repository,
)

MAX_SIMILAR = 5  # names that `find_similar` returns
_GLOB = frozenset("*?[")


def parse_image(text: str, default_registry: str) -> tuple[Repository, Reference]:
    """Read the name of an image as docker does; without a tag or digest it gets the tag `latest`.

    A name without a registry belongs to `default_registry`.

    Raises:
        InvalidInput: the registry, the name, the tag or the digest is outside of its grammar.
    """
    name, at, digest = text.partition("@")
    untagged, tag = _split_tag(name)
    repository = parse_repository(_complete(untagged, default_registry))
    if at:
        return repository, Digest.parse(digest)
    return repository, parse_reference("latest" if untagged == name else tag)


@dataclass(frozen=True, slots=True)
class ImagePattern:
    """A glob over image names; without a tag or digest it matches all images of a repository."""

    names: str
    references: str

    @classmethod
    def parse(cls, text: str, default_registry: str) -> "ImagePattern":
        """Read a pattern; a `*` in it matches any characters, including `/`."""
        name, _, digest = text.partition("@")
        if digest and ":" not in digest:  # after an @ no tag is meant; a tag contains no colon
            digest = f"*:{digest}"
        untagged, tag = _split_tag(name)
        if not untagged.startswith("*"):
            untagged = _complete(untagged, default_registry)
        return cls(untagged, digest or tag or "*")

    @classmethod
    def parse_exact(cls, text: str, default_registry: str) -> "ImagePattern":
        """Read a name or a glob; a name without a tag means `latest`.

        Raises:
            InvalidInput: the text is not a glob, and outside of the grammar of names.
        """
        if is_pattern(text):
            return cls.parse(text, default_registry)
        repository, reference = parse_image(text, default_registry)
        return cls(str(repository), str(reference))

    @property
    def is_exact(self) -> bool:
        """Whether this is the name of one image."""
        return not is_pattern(self.names + self.references)

    def matches(self, repository: str, reference: str) -> bool:
        """Whether the image with this name matches."""
        return fnmatchcase(repository, self.names) and fnmatchcase(reference, self.references)


def is_pattern(text: str) -> bool:
    """Whether this text is a glob, and so can match several images."""
    return not _GLOB.isdisjoint(text)


def find_similar(repository: Repository, others: Iterable[str]) -> list[str]:
    """Return the full names that may be meant by an image that is not among them.

    These are the images of the same repository, or else of repositories with a similar name.
    """
    found: dict[str, list[str]] = {}
    for each in others:
        found.setdefault(_strip_reference(each), []).append(each)
    if str(repository) in found:
        return found[str(repository)][:MAX_SIMILAR]
    names = {each.partition("/")[2]: each for each in found}  # without the registry
    close = get_close_matches(repository.name, names, MAX_SIMILAR, cutoff=0.8)
    return [image for each in close for image in found[names[each]]][:MAX_SIMILAR]


def _strip_reference(image: str) -> str:
    """Return the repository of a full name, which has a tag or a digest."""
    repository, at, _ = image.partition("@")
    return repository if at else image.rpartition(":")[0]


def _split_tag(name: str) -> tuple[str, str]:
    untagged, colon, tag = name.rpartition(":")
    return (untagged, tag) if colon and "/" not in tag else (name, "")


def _complete(name: str, default_registry: str) -> str:
    first, slash, rest = name.partition("/")
    registry = default_registry
    if slash and (first == "localhost" or not {".", ":"}.isdisjoint(first)):
        registry, name = first, rest
    if registry == "docker.io" and "/" not in name:
        name = f"library/{name}"
    return f"{registry}/{name}"
