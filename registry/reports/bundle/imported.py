"""The report of an import, or of what it would do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.bundle.load.result import Imported
    from registry.bundle.read.head import Opened
    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class DamagedBlob:
    """The place of a damaged blob in the bundle, and the names of the images that need the blob."""

    place: str
    needed_by: list[str]


@dataclass(frozen=True, slots=True)
class MovedTag:
    """A tag that led to `old_digest` and leads to `new_digest` now.

    `backwards` says whether it was moved back: this bundle was imported before the other one.
    """

    image: str
    old_digest: "Digest"
    new_digest: "Digest"
    backwards: bool


@dataclass(frozen=True, slots=True)
class PartialBlob:
    """A blob of `size` bytes that is cut over volumes, some of which were not imported yet."""

    digest: "Digest"
    missing_bytes: int
    size: int


@dataclass(frozen=True, slots=True)
class MissingBlob:
    """A blob of `size` bytes that an image needs and that is not stored.

    If it is a `manifest`, what it refers to is not known, and may be missing too.
    """

    digest: "Digest"
    size: int
    manifest: bool = False


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import of the bundle with the id `bundle` did, or would do (`dry_run`).

    `signed` says whether the bundle has a signature, and `signer` is the file name of the key that
    it was checked with; None if it was not checked. `images` are complete now; `already_here` were
    complete before. `whole` says whether these are all images of the bundle. `platforms` has the
    platforms of each image in the bundle. `new_bytes` were stored now, `known_bytes` were stored
    before. `incomplete` has the missing blobs of an image by its name; the tag of such an image was
    not changed. `refused` has, by name, why an image contradicts `bundle.json`. `damaged` has the
    damaged blobs by digest. `partial_blobs` need other volumes, and `missing_volumes` are the
    numbers of the volumes that were not given, of `volume_count` in all (None: the bundle is not
    cut). `requires` are the ids of the bundles and inventories that have the missing layers; it is
    empty if the bundle omits none of them. `problems` are sentences about other damage. `need` is
    the file that lists the missing blobs for `bundle create --need`.
    """

    dry_run: bool
    bundle: str
    signed: bool
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
    volume_count: int | None
    requires: list[str]
    need: Path | None

    @classmethod
    def of(
        cls, opened: "Opened", done: "Imported", signer: str, need: Path | None, *, dry_run: bool
    ) -> Self:
        """Return the report of an import; `need` is the file with the list of missing blobs.

        It is None if that file could not be written.
        """
        blobs = done.blobs
        return cls(
            dry_run=dry_run,
            bundle=opened.lock.bundle_id,
            signed=bool(opened.signature),
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
                name: [
                    MissingBlob(each.digest, each.size, each.digest in opened.lock.manifests)
                    for each in missing
                ]
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
            volume_count=done.volume_count or None,
            requires=_list_required(opened, done),
            need=need if done.incomplete else None,
        )


def _list_required(opened: "Opened", done: "Imported") -> list[str]:
    omitted = {digest for digest, _ in opened.lock.omitted}
    missing = {each.digest for blobs in done.incomplete.values() for each in blobs}
    return [*opened.lock.requires] if omitted & missing else []
