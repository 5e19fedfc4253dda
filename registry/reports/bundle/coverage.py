"""The report of the images that a deployment needs and a bundle does not contain."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from registry.reports.bundle.content import BlobCount

if TYPE_CHECKING:
    from registry.bundle.read.coverage import Gap
    from registry.image_lists.results import Entry
    from registry.oci.names import Reference, Repository


@dataclass(frozen=True, slots=True)
class MissingImage:
    """An image that could not be pulled after an import, and the places that name it.

    `problems` are sentences about the missing parts of the image. `omitted` are layers that the
    bundle leaves out and that the importing side may not have. `guess` says whether the places only
    seem to name an image, so that it may not be needed.
    """

    image: str
    wanted_by: tuple[str, ...]
    problems: tuple[str, ...]
    omitted: BlobCount
    guess: bool

    @classmethod
    def of(cls, found: "Gap", *, guess: bool) -> Self:
        """Return the report of an image from its `Gap`."""
        omitted = BlobCount(len(found.left_out), sum(found.left_out))
        return cls(found.name, found.request.sources, found.missing, omitted, guess)


@dataclass(frozen=True, slots=True)
class CoverageResult:
    """How many images were `checked`, and which of them are `missing` completely or in part."""

    checked: int
    missing: list[MissingImage]

    @classmethod
    def of(
        cls, entries: "Collection[Entry]", gaps: "Sequence[Gap]", *, counts_guesses: bool = False
    ) -> Self:
        """Return the report of a check of `entries` that found these `gaps`.

        `counts_guesses` says that guesses are needed as other images are.
        """
        guesses: set[tuple[Repository, Reference]] = {
            (each.repository, each.reference)
            for each in entries
            if each.is_guess and not counts_guesses
        }
        missing = [
            MissingImage.of(gap, guess=(gap.request.repository, gap.request.reference) in guesses)
            for gap in gaps
        ]
        return cls(len(entries), missing)

    @property
    def incomplete(self) -> int:
        """How many images are missing completely or in part, without the guesses."""
        return sum(not each.guess for each in self.missing)

    @property
    def needed(self) -> int:
        """How many images were checked, without the guesses that are not in the bundle."""
        return self.checked - len(self.missing) + self.incomplete

    @property
    def is_complete(self) -> bool:
        """Whether no image is missing, except guesses."""
        return not self.incomplete
