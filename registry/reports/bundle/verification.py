"""What reading every byte of a bundle found."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.bundle.read.head import Opened
    from registry.bundle.read.verify import Damage, Verdict
    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class FaultyBlob:
    """A blob, or the part of one, that is damaged or missing.

    `name` is its file name in the bundle, `place` the bundle's file and the volume. `needed_by` has
    the names of the images that need it, as far as they are known.
    """

    digest: "Digest"
    name: str
    place: str
    needed_by: tuple[str, ...]

    @classmethod
    def of(cls, found: "Damage") -> Self:
        """Return the report of a damage that was found."""
        return cls(found.digest, found.name, found.place, found.images)


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying the bundle of the id `bundle` found.

    `verified` blobs and parts of `size` bytes are right; of them, `unsigned_parts` are parts of
    blobs whose other parts were not given, so that only `volume.json` vouches for them, which is
    not signed. `problems` are sentences about anything else that is not as the bundle was made.
    `volume_number` is set where one volume was verified alone, of `volume_count`;
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
        """Return the report of a verdict on an opened bundle."""
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
