"""The report of verifying a bundle."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.bundle.read.head import Opened
    from registry.bundle.read.verify import Damage, Verdict
    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class FaultyBlob:
    """A blob, or a part of a blob, that is damaged or missing.

    `name` is its file name in the bundle, `place` the path of the bundle or volume. `needed_by` has
    the names of the images that need the blob, if their manifests could be read.
    """

    digest: "Digest"
    name: str
    place: str
    needed_by: tuple[str, ...]

    @classmethod
    def of(cls, found: "Damage") -> Self:
        """Return the report of a blob from its `Damage`."""
        return cls(found.digest, found.name, found.place, found.images)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying the bundle with the id `bundle`.

    `verified` blobs and parts, of `size` bytes together, are undamaged. `unsigned_parts` of them
    are parts of blobs whose other parts were not given: they agree with `volume.json`, which is not
    signed. `problems` are sentences about other damage. If only one volume was verified,
    `volume_number` is its number; `volume_count` is the number of all volumes, and
    `missing_volumes` are the numbers of those that were not given. `signer` is the file name of the
    trusted key that signed the bundle.
    """

    bundle: str
    whole: bool
    verified: int
    size: int
    unsigned_parts: int
    damaged: list[FaultyBlob]
    missing: list[FaultyBlob]
    problems: list[str]
    volume_number: int | None
    volume_count: int | None
    missing_volumes: list[int]
    signed: bool
    signer: str | None

    @classmethod
    def of(cls, opened: "Opened", found: "Verdict", signer: str) -> Self:
        """Return the report of an opened bundle from its `Verdict`."""
        return cls(
            bundle=opened.lock.bundle_id,
            whole=found.is_whole,
            verified=found.right,
            size=found.size,
            unsigned_parts=found.parts,
            damaged=[FaultyBlob.of(each) for each in found.damaged],
            missing=[FaultyBlob.of(each) for each in found.missing],
            problems=found.wrong,
            volume_number=found.number or None,
            volume_count=found.count or None,
            missing_volumes=found.volumes,
            signed=bool(opened.signature),
            signer=signer or None,
        )
