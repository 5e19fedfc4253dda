"""What somebody wants to have, where it is written that they do, and what was passed over."""

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
class Wanted:
    """An image as it is written at one place, such as `a.yaml:14 Deployment/web container app`.

    `is_guess`: it looks like an image, but only the program that reads the source knows. `origin`
    is the place without its folder, for what travels; empty where no file names the image.
    """

    image: str
    place: str
    is_guess: bool = False
    origin: str = field(default="", compare=False)  # follows from the place


@dataclass(frozen=True, slots=True)
class Note:
    """Something at `place` that may need an image and gave none, and why."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass(frozen=True, slots=True)
class Findings:
    """What one source wants, in its order and with repetitions, and the notes on the rest."""

    wanted: tuple[Wanted, ...] = ()
    notes: tuple[Note, ...] = ()

    @classmethod
    def sort(cls, found: Iterable[Wanted | Note]) -> Self:
        """Part what is wanted from the notes, each in order."""
        every = tuple(found)
        return cls(
            tuple(each for each in every if isinstance(each, Wanted)),
            tuple(each for each in every if isinstance(each, Note)),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One image with all its places, spelt as at the first; a guess only if every place is one."""

    image: str
    repository: Repository
    reference: Reference
    places: tuple[str, ...]
    is_guess: bool
    origins: tuple[str, ...] = ()


def check_image(image: str) -> None:
    """Accept what a container engine would: `nginx`, `registry:5000/a/b:tag@sha256:...`.

    `parse_image` reads `nginx:` as `nginx:latest` and looks past a tag before a digest. In a file
    these are slips, mostly of a variable that was empty, and not to be guessed at.

    Raises:
        InvalidInput: a part of it is outside its grammar, or empty.
    """
    name, at, digest = image.partition("@")
    if name.endswith(":"):
        raise TagInvalid("")
    parse_image(name, DOCKER_HUB)
    if at:
        Digest.parse(digest)


def want(image: str, location: Location, who: str = "", *, is_guess: bool = False) -> Wanted:
    """Return what is wanted at a line; `who` wants it there, e.g. `service web`.

    Raises:
        ListInvalid: `image` is none; a container engine would refuse it too.
    """
    bare = image.strip()
    try:
        check_image(bare)
    except InvalidInput as error:
        raise _refuse(bare, location, str(error)) from None
    return Wanted(bare, location.place(who), is_guess, location.without_folder().place(who))


def merge(wanted: Iterable[Wanted], default_registry: str = DOCKER_HUB) -> tuple[Entry, ...]:
    """Make one entry of what several places want, in the order of first appearance.

    `nginx` and `docker.io/library/nginx:latest` are the same. So are `nginx:1@sha256:...` and
    `nginx@sha256:...`, because where there is a digest the tag has no say.

    Raises:
        InvalidInput: an image that did not come from a reader of this room, and is none.
    """
    entries: dict[tuple[Repository, Reference], list[Wanted]] = {}
    for each in wanted:
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
    told = image[:300]
    if "{{" in image:
        return location.refuse(f"{told!r} is a template", RENDER_FIRST)
    if "$" in image:
        cure = "put the value in its place first, e.g. with envsubst"
        return location.refuse(f"{told!r} contains a variable", cure)
    return location.refuse(f"{told!r} is not an image: {why}" if image else "no image", _WRITE)
