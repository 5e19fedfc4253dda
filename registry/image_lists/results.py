"""The images that files name, the places where they name them, and notes on other places."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from registry.errors import InvalidInput, ListInvalid, TagInvalid, ValueUnknown
from registry.image_lists.location import RENDER_FIRST, Location, make_printable
from registry.oci.digest import Digest
from registry.oci.image_patterns import parse_image
from registry.oci.names import Reference, Repository
from registry.oci.registries import Registries

DOCKER_HUB = "docker.io"
_WRITE = "write it as registry/name:tag or registry/name@sha256:<64 hexadecimal digits>"


class Certainty(IntEnum):
    """How certain it is that a text is an image; the first is the most certain."""

    NAMED = 0  # the program that reads the file pulls it
    LIKELY = 1  # in a field for images, or not needed by each use of the file
    POSSIBLE = 2  # it looks like an image, and may be anything; taken only if somebody asks for it


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image as it is written at one place, such as `a.yaml:14 Deployment/web container app`.

    `origin` is the place without the folder of the file, for bundles; it is empty if no file names
    the image.
    """

    image: str
    place: str
    certainty: Certainty = Certainty.NAMED
    origin: str = field(default="", compare=False)  # depends on the place

    @property
    def is_guess(self) -> bool:
        """Whether the text may be something else to the program that reads the file."""
        return self.certainty > Certainty.NAMED


@dataclass(frozen=True, slots=True)
class Note:
    """A `place` that may need an image, but names none that can be read; `why` is the reason.

    `is_unknown` says that it needs an image of which only the name is not known.
    """

    place: str
    why: str
    is_unknown: bool = field(default=False, compare=False)  # `why` says so too

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass(frozen=True, slots=True)
class Findings:
    """The images of one source in order, with repetitions, and the notes on other places."""

    images: tuple[ListedImage, ...] = ()
    notes: tuple[Note, ...] = ()

    @classmethod
    def sort(cls, found: Iterable[ListedImage | Note]) -> Self:
        """Return the images and the notes separately, both in their former order."""
        every = tuple(found)
        return cls(
            tuple(each for each in every if isinstance(each, ListedImage)),
            tuple(each for each in every if isinstance(each, Note)),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One image with all its places.

    `image` is the text at the first place; `certainty` is that of the most certain place.
    """

    image: str
    repository: Repository
    reference: Reference
    places: tuple[str, ...]
    certainty: Certainty
    origins: tuple[str, ...] = ()

    @property
    def is_guess(self) -> bool:
        """Whether it may be no image, at each of its places."""
        return self.certainty > Certainty.NAMED


def check_image(image: str) -> None:
    """Accept the images that a container engine accepts, such as `registry:5000/a:tag@sha256:...`.

    `parse_image` reads `nginx:` as `nginx:latest` and ignores a tag before a digest. In a file
    these texts are mistakes (often a variable was empty), so this function refuses a part that is
    wrong.

    Raises:
        InvalidInput: a part of it is outside its grammar, or empty.
    """
    name, at, digest = image.partition("@")
    if name.endswith(":"):
        raise TagInvalid("")
    parse_image(name, Registries(DOCKER_HUB))
    if at:
        Digest.parse(digest)


def read_image(
    image: str, location: Location, user: str = "", certainty: Certainty = Certainty.NAMED
) -> ListedImage:
    """Return the image at a location; `user` names what uses the image, such as `service web`.

    Raises:
        ListInvalid: `image` is not an image; a container engine would refuse it too.
        ValueUnknown: it has a variable or a template in it.
    """
    bare = image.strip()
    try:
        check_image(bare)
    except InvalidInput as error:
        raise _refuse(bare, location, str(error)) from None
    return ListedImage(bare, location.place(user), certainty, location.without_folder().place(user))


def read_or_note(
    image: str, location: Location, user: str = "", certainty: Certainty = Certainty.NAMED
) -> ListedImage | Note:
    """Return the image at a location, or a note if it depends on a value that is not known.

    So an unknown image does not keep the others from being read.

    Raises:
        ListInvalid: as for `read_image`.
    """
    try:
        return read_image(image, location, user, certainty)
    except ValueUnknown as error:
        return note_unknown(error, location, user)


def note_unknown(error: ValueUnknown, location: Location, user: str) -> Note:
    """Return a note on an image that depends on a value that is not known."""
    return Note(location.place(user), f"{error.why}; {error.cure}", is_unknown=True)


def make_note(location: Location, user: str, why: str, *, is_unknown: bool = False) -> Note:
    """Return a note on a location; `why` may have texts of the file in it."""
    return Note(location.place(user), make_printable(why), is_unknown)


def merge(images: Iterable[ListedImage], registries: Registries) -> tuple[Entry, ...]:
    """Return one entry with all places for each image, in the order of first appearance.

    `nginx` and `docker.io/library/nginx:latest` are the same image. So are `nginx:1@sha256:...` and
    `nginx@sha256:...`, because a tag before a digest is ignored. An alias of a registry means it.

    Raises:
        InvalidInput: an image was not made by `read_image`, and is not valid.
    """
    entries: dict[tuple[Repository, Reference], list[ListedImage]] = {}
    for each in images:
        entries.setdefault(parse_image(each.image, registries), []).append(each)
    return tuple(
        Entry(
            image=same[0].image,
            repository=repository,
            reference=reference,
            places=tuple(dict.fromkeys(each.place for each in same)),
            certainty=min(each.certainty for each in same),
            origins=tuple(sorted({each.origin for each in same} - {""})),
        )
        for (repository, reference), same in entries.items()
    )


def _refuse(image: str, location: Location, why: str) -> ListInvalid:
    shown = image[:300]
    if "{{" in image:
        return location.refuse_unknown(f"{shown!r} is a template", RENDER_FIRST)
    if "$" in image:
        cure = "replace the variable by its value first, e.g. with envsubst"
        return location.refuse_unknown(f"{shown!r} contains a variable", cure)
    return location.refuse(f"{shown!r} is not an image: {why}" if image else "no image", _WRITE)
