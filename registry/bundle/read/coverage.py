"""Whether a bundle contains the images that a deployment needs. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from registry.bundle.format.lock import ImageRequest, Lock, LockedImage
from registry.bundle.read.analysis import Analysis
from registry.oci import platforms as oci_platforms
from registry.oci.digest import Digest
from registry.oci.names import format_image


@dataclass(frozen=True, slots=True)
class Gap:
    """An image that clients could not pull completely after an import of the bundle.

    `missing` are sentences about what the bundle does not contain. `left_out` are the sizes in
    bytes of the layers that the bundle omits, and that the other side may not have.
    """

    request: ImageRequest
    missing: tuple[str, ...]
    left_out: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The image as people write it."""
        return format_image(self.request.repository, self.request.reference)


def find_gaps(
    lock: Lock,
    analysis: Analysis,
    requests: Iterable[ImageRequest],
    platforms: Sequence[str],
    *,
    have: Collection[Digest] = (),
    former: Sequence[Lock] = (),
) -> list[Gap]:
    """Return the requested images that the bundle does not contain for all of `platforms`.

    Without `platforms`, an image with any platform is accepted; `all` are those of the index. The
    platforms of an image are those in the lock; `verify` and `import` compare the lock with the
    indexes. If an image is requested by the digest of one platform's manifest, other platforms are
    not looked for. `have` are layers that the other side has. It has also imported the bundles with
    the locks `former`, the oldest first: their images count, unless the bundle moves their tags to
    other images.
    """
    found = []
    for request in requests:
        image = next((each for each in lock.images if _has(analysis, each, request)), None)
        brought = [each for other in former for each in other.images if _is_named(each, request)]
        if image is None and not brought:
            found.append(Gap(request, ("it is not in the bundle",)))
            continue
        latest = image or brought[-1]
        same = [each for each in brought if each.root == latest.root]
        inside = sorted({name for each in (latest, *same) for name in each.platforms})
        missing = _list_missing(latest, inside, request, platforms)
        omitted = analysis.list_omitted(image) if image else []
        left_out = [size for digest, size in omitted if digest not in have]
        if missing or left_out:
            found.append(Gap(request, tuple(missing), tuple(left_out)))
    return found


def _list_missing(
    image: LockedImage, inside: Sequence[str], request: ImageRequest, platforms: Sequence[str]
) -> list[str]:
    """Return sentences about the platforms that are not `inside` one of the bundles."""
    is_one = request.reference not in (image.reference, image.root.digest)
    if oci_platforms.ALL in platforms:
        platforms = sorted({*inside, *image.missing})
    return [
        f"{name} is not in the bundle" + (f", only {', '.join(inside)}" if inside else "")
        for name in platforms
        if (inside or image.missing) and not is_one
        if not any(oci_platforms.matches(name, each) for each in inside)
    ]


def _is_named(image: LockedImage, request: ImageRequest) -> bool:
    """Whether an image of a former bundle, of which only the lock is known, has this name."""
    digests = (image.root.digest, *(each.digest for each in image.referrers))
    return image.repository == request.repository and (
        image.reference == request.reference or request.reference in digests
    )


def _has(analysis: Analysis, image: LockedImage, request: ImageRequest) -> bool:
    if image.repository != request.repository:
        return False
    return image.reference == request.reference or (
        isinstance(request.reference, Digest) and analysis.has_manifest(image, request.reference)
    )
