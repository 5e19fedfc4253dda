"""The images that files name, the places where they name them, and notes on other places."""

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

    `is_guess` says whether the text only looks like an image, and may be something else to the
    program that reads the file. `origin` is the place without the folder of the file, for bundles;
    it is empty if no file names the image.
    """

    image: str
    place: str
    is_guess: bool = False
    origin: str = field(default="", compare=False)  # depends on the place


@dataclass(frozen=True, slots=True)
class Note:
    """A `place` that may need an image, but names none that can be read; `why` is the reason."""

    place: str
    why: str

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

    `image` is the text at the first place. `is_guess` says whether it is a guess at each place.
    """

    image: str
    repository: Repository
    reference: Reference
    places: tuple[str, ...]
    is_guess: bool
    origins: tuple[str, ...] = ()


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
    parse_image(name, DOCKER_HUB)
    if at:
        Digest.parse(digest)


def read_image(
    image: str, location: Location, user: str = "", *, is_guess: bool = False
) -> ListedImage:
    """Return the image at a location; `user` names what uses the image, such as `service web`.

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
    """Return one entry with all places for each image, in the order of first appearance.

    `nginx` and `docker.io/library/nginx:latest` are the same image. So are `nginx:1@sha256:...` and
    `nginx@sha256:...`, because a tag before a digest is ignored.

    Raises:
        InvalidInput: an image was not made by `read_image`, and is not valid.
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
