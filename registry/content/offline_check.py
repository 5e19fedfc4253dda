"""Whether images can be pulled without any upstream. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from registry.content.image_report import ImageReport, PlatformReport
from registry.oci.platforms import ALL, matches


@dataclass(frozen=True, slots=True)
class OfflineCheck:
    """Which platforms of an image can be pulled offline: those in `complete`.

    For the platforms in `incomplete`, blobs or manifests are missing. `unavailable` are wanted
    platforms for which the image has no manifest.
    """

    image: ImageReport
    complete: tuple[PlatformReport, ...]
    incomplete: tuple[PlatformReport, ...]
    unavailable: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the image can be pulled for all wanted platforms."""
        return not (self.incomplete or self.unavailable)


def check_offline(image: ImageReport, wanted: Sequence[str]) -> OfflineCheck:
    """Check an image for the wanted platforms; without any, for those that clients have pulled.

    An index lists many platforms that no client uses. A platform counts as pulled if its manifest
    is stored; if no manifest is stored, all platforms count. A manifest whose platform is not known
    always counts. `all` is every platform that the index lists.
    """
    platforms = tuple(_choose(image, wanted))
    known = any(each.platform for each in image.platforms)
    return OfflineCheck(
        image,
        tuple(each for each in platforms if each.is_complete),
        tuple(each for each in platforms if not each.is_complete),
        tuple(name for name in wanted if known and name != ALL and not _is_for(image, name)),
    )


def _is_for(image: ImageReport, name: str) -> bool:
    return any(matches(name, each.platform) for each in image.platforms)


def _choose(image: ImageReport, wanted: Sequence[str]) -> Iterator[PlatformReport]:
    has_any = any(each.has_manifest for each in image.platforms)
    for each in image.platforms:
        if not wanted or not each.platform:
            if each.has_manifest or not has_any:
                yield each
        elif ALL in wanted or any(matches(name, each.platform) for name in wanted):
            yield each
