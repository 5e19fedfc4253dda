"""The reports of `entrepot images warm`: the wanted images, and the result for each of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from registry.oci.names import format_image
from registry.reports.pull_limits import Estimate, PullLimit

if TYPE_CHECKING:
    from registry.image_lists.results import Entry, Note


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image and the places where it is wanted, such as `a.yaml:14 Deployment/web container app`.

    `guess` says whether the places only seem to name an image.
    """

    image: str
    wanted_by: tuple[str, ...]
    guess: bool

    @classmethod
    def of(cls, entry: "Entry") -> Self:
        """Return the report of an image that a source names."""
        return cls(name_entry(entry), entry.places, entry.is_guess)


@dataclass(frozen=True, slots=True)
class WantedImages:
    """All images that the sources name; `notes` are about places that may need an image.

    `guesses` only look like images, and are not taken.
    """

    images: tuple[WantedImage, ...]
    guesses: tuple[WantedImage, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, entries: "Sequence[Entry]", guesses: "Sequence[Entry]", notes: "Sequence[Note]"
    ) -> Self:
        """Return the report of the images, guesses and notes of all sources."""
        return cls(
            tuple(map(WantedImage.of, entries)),
            tuple(map(WantedImage.of, guesses)),
            tuple(map(str, notes)),
        )


@dataclass(slots=True)
class WarmedImage:
    """The result for one image, which the command fills in during its run.

    The name leads to `digest`. `fetched` bytes were downloaded, and `attached` signatures, SBOMs
    and attestations are stored with the image. `estimate` is None if the upstream did not answer.
    The image is not made for the requested `unavailable_platforms`. `only_platform` is the platform
    of an image without an index, if another platform was requested. `not_found` says why a guess is
    not an image. `foreign_layers` says which layers are not stored because their registry does not
    have them. `warning` is what clients are told about the name, such as that it leads to a former
    image.
    """

    image: str
    wanted_by: tuple[str, ...]
    guess: bool
    digest: str = ""
    fetched: int = 0
    attached: int = 0
    estimate: Estimate | None = None
    unavailable_platforms: list[str] = field(default_factory=list)
    only_platform: str = ""
    not_found: str = ""
    failures: list[str] = field(default_factory=list)
    foreign_layers: list[str] = field(default_factory=list)
    warning: str = ""

    @classmethod
    def of(cls, entry: "Entry") -> Self:
        """Return the report of an image before its download begins."""
        return cls(name_entry(entry), entry.places, entry.is_guess)


@dataclass(frozen=True, slots=True)
class WarmResult:
    """The results for all images; `fetched` are the bytes of all blobs, each counted once.

    `guesses` only looked like images, and were not taken.
    """

    images: list[WarmedImage]
    pull_limits: list[PullLimit]
    guesses: tuple[WantedImage, ...]
    notes: tuple[str, ...]
    fetched: int
    dry_run: bool

    @property
    def failed(self) -> list[WarmedImage]:
        """The images with a failed download."""
        return [each for each in self.images if each.failures]

    @property
    def found(self) -> list[WarmedImage]:
        """The wanted images, without those that only looked like images."""
        return [each for each in self.images if not each.not_found]

    @property
    def stored(self) -> list[WarmedImage]:
        """The images that are complete now; those that only looked like images are not."""
        return [each for each in self.found if not each.failures]


def name_entry(entry: "Entry") -> str:
    """Return the full name of a wanted image."""
    return format_image(entry.repository, entry.reference)
