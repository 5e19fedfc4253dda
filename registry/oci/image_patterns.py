"""Names of images as people type them: short names as in docker, and globs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from registry.errors import NameInvalid
from registry.oci.digest import Digest
from registry.oci.names import (
    Reference,
    Repository,
    parse_reference,
    parse_repository,
)

MAX_SIMILAR = 5  # names that `find_similar` returns
_HUB = "docker.io"  # the registry whose names may lack `library/`
_GLOB = frozenset("*?[")


def parse_image(text: str, default_registry: str) -> tuple[Repository, Reference]:
    """Read the name of an image as docker does; without a tag or digest it gets the tag `latest`.

    A name without a registry belongs to `default_registry`.

    Raises:
        InvalidInput: the registry, the name, the tag or the digest is outside of its grammar.
    """
    name, at, digest = text.partition("@")
    untagged, tag = _split_tag(name)
    try:
        repository = parse_repository(_complete(untagged, default_registry))
    except NameInvalid:
        raise NameInvalid(untagged) from None  # as it was typed
    if at:
        return repository, Digest.parse(digest)
    return repository, parse_reference("latest" if untagged == name else tag)


@dataclass(frozen=True, slots=True)
class ImagePattern:
    """A glob over image names; without a tag or digest it matches all images of a repository.

    A repository matches if any of `names` matches it.
    """

    names: tuple[str, ...]
    references: str

    @classmethod
    def parse(cls, text: str, default_registry: str) -> "ImagePattern":
        """Read a pattern; a `*` in it matches any characters, including `/`.

        A glob matches full names and the short names that docker accepts: `*ginx` means
        `docker.io/library/nginx`, and `docker.io/*` everything of Docker Hub.
        """
        name, _, digest = text.partition("@")
        if digest and ":" not in digest:  # after an @ no tag is meant; a tag contains no colon
            digest = f"*:{digest}"
        untagged, tag = _split_tag(name)
        if is_pattern(untagged):
            names = tuple(_list_meanings(untagged, default_registry))
        else:
            names = (_complete(untagged, default_registry),)
        return cls(names, digest or tag or "*")

    @classmethod
    def parse_exact(cls, text: str, default_registry: str) -> "ImagePattern":
        """Read a name or a glob; a name without a tag means `latest`.

        Raises:
            InvalidInput: the text is not a glob, and outside of the grammar of names.
        """
        if is_pattern(text):
            return cls.parse(text, default_registry)
        repository, reference = parse_image(text, default_registry)
        return cls((str(repository),), str(reference))

    @property
    def is_exact(self) -> bool:
        """Whether this is the name of one image."""
        return not any(map(is_pattern, (*self.names, self.references)))

    def matches(self, repository: str, reference: str) -> bool:
        """Whether the image with this name matches."""
        return fnmatchcase(reference, self.references) and any(
            fnmatchcase(repository, name) for name in self.names
        )


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
    if not _has_registry(name):
        name = f"{default_registry}/{name}"
    registry, _, path = name.partition("/")
    return f"{_HUB}/library/{path}" if registry == _HUB and "/" not in path else name


def _list_meanings(glob: str, default_registry: str) -> Iterator[str]:
    """Yield the globs over full names that a glob over full or short names stands for."""
    yield glob
    full = glob
    if not _has_registry(glob):
        yield (full := f"{default_registry}/{glob}")
    if (completed := _complete(full, default_registry)) != full:
        yield completed


def _has_registry(name: str) -> bool:
    """Whether a name or glob begins with a registry, by the rule of docker."""
    first, slash, _ = name.partition("/")
    return bool(slash) and (first == "localhost" or not {".", ":"}.isdisjoint(first))
