"""Names of images as people type them: short names as in docker, and globs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.errors import NameInvalid
from registry.oci.digest import Digest
from registry.oci.names import (
    Reference,
    Repository,
    parse_reference,
    parse_repository,
)
from registry.oci.registries import Registries

MAX_SIMILAR = 5  # names that `find_similar` returns
_HUB = "docker.io"  # the registry whose names may lack `library/`
_GLOB = frozenset("*?[")


def parse_image(text: str, registries: Registries) -> tuple[Repository, Reference]:
    """Read the name of an image as docker does; without a tag or digest it gets the tag `latest`.

    A name without a registry belongs to the default one, and an alias becomes its registry's name.

    Raises:
        InvalidInput: the registry, the name, the tag or the digest is outside of its grammar.
    """
    name, at, digest = text.partition("@")
    untagged, tag = _split_tag(name)
    try:
        repository = parse_repository(_complete(untagged, registries))
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
    def parse(cls, text: str, registries: Registries) -> "ImagePattern":
        """Read a pattern; a `*` in it matches any characters, including `/`.

        A glob matches full names and the short names that docker accepts: `*ginx` means
        `docker.io/library/nginx`, and `docker.io/*` everything of Docker Hub.
        """
        name, _, digest = text.partition("@")
        if digest and ":" not in digest:  # after an @ no tag is meant; a tag contains no colon
            digest = f"*:{digest}"
        untagged, tag = _split_tag(name)
        if is_pattern(untagged):
            names = tuple(_list_meanings(untagged, registries))
        else:
            names = (_complete(untagged, registries),)
        return cls(names, digest or tag or "*")

    @classmethod
    def parse_exact(cls, text: str, registries: Registries) -> "ImagePattern":
        """Read a name or a glob; a name without a tag means `latest`.

        Raises:
            InvalidInput: the text is not a glob, and outside of the grammar of names.
        """
        if is_pattern(text):
            return cls.parse(text, registries)
        repository, reference = parse_image(text, registries)
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
    from difflib import get_close_matches  # noqa: PLC0415 - only for an error

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


def _complete(name: str, registries: Registries) -> str:
    if not registries.has_registry(name):
        name = f"{registries.default}/{name}"
    registry, _, path = registries.resolve(name).partition("/")
    is_short = registry == _HUB and "/" not in path
    return f"{registry}/library/{path}" if is_short else f"{registry}/{path}"


def _list_meanings(glob: str, registries: Registries) -> Iterator[str]:
    """Yield the globs over full names that a glob over full or short names stands for."""
    yield (full := registries.resolve(glob))
    if not registries.has_registry(glob):
        yield (full := f"{registries.default}/{glob}")
    if (completed := _complete(full, registries)) != full:
        yield completed
