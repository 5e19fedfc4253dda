"""Whether images could be pulled with no upstream at all. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from registry.content.image_report import ImageReport, PlatformReport
from registry.oci.platforms import matches


@dataclass(frozen=True, slots=True)
class OfflineCheck:
    """What of an image works offline: `complete` and `lacking` are its platforms.

    `absent` are platforms that were asked for and that the image is not for.
    """

    image: ImageReport
    complete: tuple[PlatformReport, ...]
    lacking: tuple[PlatformReport, ...]
    absent: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether it can be pulled."""
        return not (self.lacking or self.absent)


def judge(image: ImageReport, wanted: Sequence[str]) -> OfflineCheck:
    """Judge an image by these platforms; without any, by those that somebody here has pulled.

    Of an index, most platforms are of no interest to anybody. What shows interest is that its
    manifest is here; where no manifest is, everything lacks. An image that names no platform has
    to be whole.
    """
    platforms = tuple(_choose(image, wanted))
    known = any(each.platform for each in image.platforms)
    return OfflineCheck(
        image,
        tuple(each for each in platforms if each.is_complete),
        tuple(each for each in platforms if not each.is_complete),
        tuple(name for name in wanted if known and not _is_for(image, name)),
    )


def _is_for(image: ImageReport, name: str) -> bool:
    return any(matches(name, each.platform) for each in image.platforms)


def _choose(image: ImageReport, wanted: Sequence[str]) -> Iterator[PlatformReport]:
    has_any = any(each.has_manifest for each in image.platforms)
    for each in image.platforms:
        if not wanted or not each.platform:
            if each.has_manifest or not has_any:
                yield each
        elif any(matches(name, each.platform) for name in wanted):
            yield each
