"""The images that files ask for, the places where they do, and notes on the rest."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from registry.errors import InvalidInput, ListInvalid, TagInvalid
from registry.image_lists.location import RENDER_FIRST, Location
from registry.oci.digest import Digest
from registry.oci.image_patterns import parse_image
from registry.oci.names import Reference, Repository

DOCKER_HUB = "docker.io"
_WRITE = "write it as registry/name:tag or registry/name@sha256:<64 hexadecimal digits>"


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image as it is written at one place, such as `a.yaml:14 Deployment/web container app`.

    `is_guess` says that the text looks like an image, but may be something else to the program
    that reads the file. `origin` is the place without the folder of the file, for bundles; it is
    empty where no file names the image.
    """

    image: str
    place: str
    is_guess: bool = False
    origin: str = field(default="", compare=False)  # follows from the place


@dataclass(frozen=True, slots=True)
class Note:
    """Something at `place` that may need an image, but names none that can be read, and why."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass(frozen=True, slots=True)
class Findings:
    """The images of one source, in its order and with repetitions, and the notes on the rest."""

    images: tuple[ListedImage, ...] = ()
    notes: tuple[Note, ...] = ()

    @classmethod
    def sort(cls, found: Iterable[ListedImage | Note]) -> Self:
        """Separate images from notes, each in order."""
        every = tuple(found)
        return cls(
            tuple(each for each in every if isinstance(each, ListedImage)),
            tuple(each for each in every if isinstance(each, Note)),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One image with all its places, written as at the first; a guess if every place is one."""

    image: str
    repository: Repository
    reference: Reference
    places: tuple[str, ...]
    is_guess: bool
    origins: tuple[str, ...] = ()


def check_image(image: str) -> None:
    """Accept what a container engine would: `nginx`, `registry:5000/a/b:tag@sha256:...`.

    `parse_image` reads `nginx:` as `nginx:latest` and ignores a tag before a digest. In a file such
    texts are mistakes, mostly of a variable that was empty, and are refused.

    Raises:
        InvalidInput: a part of it is outside its grammar, or empty.
    """
    name, at, digest = image.partition("@")
    if name.endswith(":"):
        raise TagInvalid("")
    parse_image(name, DOCKER_HUB)
    if at:
        Digest.parse(digest)


def read_image(
    image: str, location: Location, user: str = "", *, is_guess: bool = False
) -> ListedImage:
    """Return the image that is written at a line; `user` is what uses it, e.g. `service web`.

    Raises:
        ListInvalid: `image` is not an image; a container engine would refuse it too.
    """
    bare = image.strip()
    try:
        check_image(bare)
    except InvalidInput as error:
        raise _refuse(bare, location, str(error)) from None
    return ListedImage(bare, location.place(user), is_guess, location.without_folder().place(user))


def merge(images: Iterable[ListedImage], default_registry: str = DOCKER_HUB) -> tuple[Entry, ...]:
    """Make one entry of the places of each image, in the order of first appearance.

    `nginx` and `docker.io/library/nginx:latest` are the same image. So are `nginx:1@sha256:...` and
    `nginx@sha256:...`, because a tag is ignored where there is a digest.

    Raises:
        InvalidInput: one of them was not made by `read_image`, and is not an image.
    """
    entries: dict[tuple[Repository, Reference], list[ListedImage]] = {}
    for each in images:
        entries.setdefault(parse_image(each.image, default_registry), []).append(each)
    return tuple(
        Entry(
            image=same[0].image,
            repository=repository,
            reference=reference,
            places=tuple(dict.fromkeys(each.place for each in same)),
            is_guess=all(each.is_guess for each in same),
            origins=tuple(sorted({each.origin for each in same} - {""})),
        )
        for (repository, reference), same in entries.items()
    )


def _refuse(image: str, location: Location, why: str) -> ListInvalid:
    shown = image[:300]
    if "{{" in image:
        return location.refuse(f"{shown!r} is a template", RENDER_FIRST)
    if "$" in image:
        cure = "replace the variable by its value first, e.g. with envsubst"
        return location.refuse(f"{shown!r} contains a variable", cure)
    return location.refuse(f"{shown!r} is not an image: {why}" if image else "no image", _WRITE)
