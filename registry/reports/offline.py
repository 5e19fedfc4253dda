"""The report of which images can be pulled without any upstream."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.content.image_report import PlatformReport
    from registry.content.offline_check import OfflineCheck


@dataclass(frozen=True, slots=True)
class MissingBlob:
    """A blob that is not stored; `size` is in bytes, and None for a manifest."""

    digest: str
    size: int | None


@dataclass(frozen=True, slots=True)
class MissingPlatform:
    """A platform of an image that cannot be pulled offline.

    `missing_bytes` is None if the manifest is missing. `fetch_command` is the command that
    downloads the missing blobs; it is None if no upstream has them. `foreign_layers` says which of
    the blobs the upstream need not have, and where they are.
    """

    platform: str
    digest: str
    blobs: tuple[MissingBlob, ...]
    missing_bytes: int | None
    fetch_command: str | None
    foreign_layers: tuple[str, ...]

    @classmethod
    def of(cls, image: str, found: "PlatformReport", *, can_fetch: bool) -> Self:
        """Return the report of a platform of `image`."""
        sizes = found.missing_sizes or [None] * len(found.missing)
        chosen = f" --platform {found.platform}" if found.platform else ""
        command = f"entrepot images warm {image}{chosen}"
        return cls(
            found.platform,
            found.digest,
            blobs=tuple(map(MissingBlob, found.missing, sizes)),
            missing_bytes=found.missing_bytes,
            fetch_command=command if can_fetch and found.can_be_completed else None,
            foreign_layers=found.foreign,
        )


@dataclass(frozen=True, slots=True)
class OfflineReadiness:
    """Which platforms of an image can be pulled without any upstream.

    `complete` has the platforms that can be pulled, `missing` those that cannot. The image is not
    made for `unavailable_platforms`, which were requested.
    """

    name: str
    digest: str
    ready: bool
    complete: tuple[str, ...]
    missing: tuple[MissingPlatform, ...]
    unavailable_platforms: tuple[str, ...]

    @classmethod
    def of(cls, found: "OfflineCheck", *, can_fetch: bool) -> Self:
        """Return the report of a check; `can_fetch` says whether an upstream can be asked."""
        name = found.image.name
        return cls(
            name,
            found.image.digest,
            ready=found.is_ready,
            complete=tuple(each.platform for each in found.complete),
            missing=tuple(
                MissingPlatform.of(name, each, can_fetch=can_fetch) for each in found.incomplete
            ),
            unavailable_platforms=tuple(found.unavailable),
        )
