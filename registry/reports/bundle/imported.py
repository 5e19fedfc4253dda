"""What an import brought in, or would bring in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.bundle.load.result import Imported
    from registry.bundle.read.head import Opened
    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import of the bundle of the id `bundle` would do.

    `size` bytes are in the bundle, of which `new_bytes` are not stored yet. `missing_bytes` are
    left out of the bundle and not stored either: images that need them would stay incomplete.
    """

    bundle: str
    images: list[str]
    size: int
    new_bytes: int
    missing_bytes: int
    signer: str | None
    dry_run: bool = True


@dataclass(frozen=True, slots=True)
class DamagedBlob:
    """Where in the bundle a damaged blob is, and the names of the images that need it."""

    place: str
    needed_by: list[str]


@dataclass(frozen=True, slots=True)
class MovedTag:
    """A tag that led to `old_digest` and leads to `new_digest` now.

    `backwards` says that the image it leads to now was built before the former one.
    """

    image: str
    old_digest: "Digest"
    new_digest: "Digest"
    backwards: bool


@dataclass(frozen=True, slots=True)
class PartialBlob:
    """A blob of `size` bytes that is cut over several volumes, of which some are still missing."""

    digest: "Digest"
    missing_bytes: int
    size: int


@dataclass(frozen=True, slots=True)
class MissingBlob:
    """A blob of `size` bytes that an image needs and that is not stored."""

    digest: "Digest"
    size: int

    @classmethod
    def of(cls, found: "Descriptor") -> Self:
        """Return the report of a blob that a manifest names."""
        return cls(found.digest, found.size)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import of the bundle of the id `bundle` did.

    `whole` says whether all images of the bundle are complete here now: those in `images`, of which
    `already_here` were so before; `platforms` has the platforms that came with each. `new_bytes`
    were stored, `known_bytes` were here. `incomplete` has, by the name of an image, the blobs that
    are missing: the tag of that image is unchanged.
    `refused` has, by name, why an image contradicts the bundle's list. `damaged` is by digest.
    `partial_blobs` wait for other volumes, and `missing_volumes` are the numbers of those that were
    not given. `problems` are sentences about anything else that is not as the bundle was made.
    `need` is the file that lists the missing blobs for `bundle create --need`.
    """

    bundle: str
    signer: str | None
    whole: bool
    images: list[str]
    platforms: Mapping[str, tuple[str, ...]]
    already_here: list[str]
    new_bytes: int
    known_bytes: int
    damaged: "Mapping[Digest, DamagedBlob]"
    incomplete: Mapping[str, list[MissingBlob]]
    refused: Mapping[str, str]
    moved: list[MovedTag]
    problems: list[str]
    partial_blobs: list[PartialBlob]
    missing_volumes: list[int]
    need: Path | None

    @classmethod
    def of(cls, opened: "Opened", done: "Imported", signer: str, need: Path) -> Self:
        """Return the report of an import; `need` is where its missing blobs are listed, if any."""
        blobs = done.blobs
        return cls(
            bundle=opened.lock.bundle_id,
            signer=signer or None,
            whole=done.is_whole,
            images=[image.name for image in done.images],
            platforms={image.name: image.platforms for image in done.images},
            already_here=sorted(done.known),
            new_bytes=blobs.new,
            known_bytes=blobs.known,
            damaged={
                digest: DamagedBlob(place, done.damaged.get(digest, []))
                for digest, place in blobs.damaged.items()
            },
            incomplete={
                name: [MissingBlob.of(each) for each in missing]
                for name, missing in done.incomplete.items()
            },
            refused=done.refused,
            moved=[
                MovedTag(each.image, each.former, each.now, each.is_backwards)
                for each in done.moved
            ],
            problems=done.flaws,
            partial_blobs=[
                PartialBlob(each.digest, each.missing, each.size) for each in blobs.waiting
            ],
            missing_volumes=done.volumes,
            need=need if done.incomplete else None,
        )
