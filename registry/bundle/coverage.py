"""Whether a bundle has what somebody is going to want from it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.bundle.lock import Lock, LockedImage
from registry.bundle.plan import Want
from registry.bundle.survey import Survey
from registry.oci import platform
from registry.oci.digest import Digest
from registry.oci.names import spell_image


@dataclass(frozen=True, slots=True)
class Gap:
    """An image that could not be pulled on the other side: `lacks` says what is not inside."""

    want: Want
    lacks: tuple[str, ...]

    @property
    def name(self) -> str:
        """The image as people write it."""
        return spell_image(self.want.repository, self.want.reference)


def find_gaps(
    lock: Lock, survey: Survey, wants: Iterable[Want], platforms: Sequence[str]
) -> list[Gap]:
    """Return what lacks of what is wanted, for all of these platforms (none: for any).

    What the lock says of platforms is what counts: `verify` and `import` hold it against the
    indexes. A manifest that is wanted by its own digest is right, for whatever it is.
    """
    found = ((want, _find_lacks(lock, survey, want, platforms)) for want in wants)
    return [Gap(want, tuple(lacks)) for want, lacks in found if lacks]


def _find_lacks(lock: Lock, survey: Survey, want: Want, platforms: Sequence[str]) -> list[str]:
    image = next((each for each in lock.images if _has(survey, each, want)), None)
    if image is None:
        return ["it is not inside"]
    inside = image.platforms
    is_one = want.reference not in (image.reference, image.root.digest)
    lacks = [
        f"{name} is not inside" + (f", only {', '.join(inside)}" if inside else "")
        for name in platforms
        if (inside or image.missing) and not is_one
        if not any(platform.matches(name, each) for each in inside)
    ]
    omitted = survey.list_omitted(image)
    if omitted:
        size = sum(size for _, size in omitted)
        lacks.append(f"{len(omitted)} layers of {size} bytes are left out, as in every delta")
    return lacks


def _has(survey: Survey, image: LockedImage, want: Want) -> bool:
    if image.repository != want.repository:
        return False
    return image.reference == want.reference or (
        isinstance(want.reference, Digest) and survey.has_manifest(image, want.reference)
    )
