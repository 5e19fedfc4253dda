"""Whether a bundle has what somebody is going to want from it. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from registry.bundle.format.lock import Lock, LockedImage
from registry.bundle.read.analysis import Survey
from registry.bundle.write.plan import Want
from registry.oci import platforms as oci_platforms
from registry.oci.digest import Digest
from registry.oci.names import format_image


@dataclass(frozen=True, slots=True)
class Gap:
    """An image that could not be pulled on the other side.

    `lacks` says what is not inside; `left_out` has the bytes of each layer that a delta goes
    without, and that the other side is not said to have.
    """

    want: Want
    lacks: tuple[str, ...]
    left_out: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The image as people write it."""
        return format_image(self.want.repository, self.want.reference)


def find_gaps(
    lock: Lock,
    survey: Survey,
    wants: Iterable[Want],
    platforms: Sequence[str],
    have: Collection[Digest] = (),
) -> list[Gap]:
    """Return what lacks of what is wanted, for all of these platforms (none: for any).

    What the lock says of platforms is what counts: `verify` and `import` hold it against the
    indexes. A manifest that is wanted by its own digest is right, for whatever it is. Layers that
    are left out do not lack if they are in `have`.
    """
    found = []
    for want in wants:
        image = next((each for each in lock.images if _has(survey, each, want)), None)
        if image is None:
            found.append(Gap(want, ("it is not inside",)))
            continue
        lacks = _find_lacks(image, want, platforms)
        omitted = survey.list_omitted(image)
        left_out = [size for digest, size in omitted if digest not in have]
        if lacks or left_out:
            found.append(Gap(want, tuple(lacks), tuple(left_out)))
    return found


def _find_lacks(image: LockedImage, want: Want, platforms: Sequence[str]) -> list[str]:
    inside = image.platforms
    is_one = want.reference not in (image.reference, image.root.digest)
    return [
        f"{name} is not inside" + (f", only {', '.join(inside)}" if inside else "")
        for name in platforms
        if (inside or image.missing) and not is_one
        if not any(oci_platforms.matches(name, each) for each in inside)
    ]


def _has(survey: Survey, image: LockedImage, want: Want) -> bool:
    if image.repository != want.repository:
        return False
    return image.reference == want.reference or (
        isinstance(want.reference, Digest) and survey.has_manifest(image, want.reference)
    )
