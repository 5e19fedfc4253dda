"""The differences between two bundles. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from registry.bundle.format.lock import Lock, LockedImage
from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Change:
    """An image that both bundles have under one name, with different content."""

    former: LockedImage
    latter: LockedImage

    @property
    def gained(self) -> list[str]:
        """The platforms that only the latter bundle contains."""
        return sorted({*self.latter.platforms} - {*self.former.platforms})

    @property
    def lost(self) -> list[str]:
        """The platforms that only the former bundle contains."""
        return sorted({*self.former.platforms} - {*self.latter.platforms})


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences between a former and a latter bundle.

    `added` are images that only the latter bundle has, `removed` those that only the former has,
    and `changed` those that differ. `new` has the sizes in bytes of the blobs that only the latter
    bundle needs, `gone` of those that only the former needs. A bundle also needs the blobs that it
    omits. `newly_omitted` has the sizes of the blobs that the latter omits and the former contains,
    `formerly_omitted` the other way round; they are not counted as differences.
    """

    added: tuple[LockedImage, ...]
    removed: tuple[LockedImage, ...]
    changed: tuple[Change, ...]
    new: Mapping[Digest, int]
    gone: Mapping[Digest, int]
    newly_omitted: Mapping[Digest, int]
    formerly_omitted: Mapping[Digest, int]

    @property
    def is_empty(self) -> bool:
        """Whether both bundles have the same images and blobs."""
        return not (self.added or self.removed or self.changed or self.new or self.gone)


def compare(former: Lock, latter: Lock) -> Difference:
    """Return what changed from `former` to `latter`."""
    before = {image.name: image for image in former.images}
    after = {image.name: image for image in latter.images}
    had, has = _list_needed(former), _list_needed(latter)
    return Difference(
        added=tuple(image for name, image in after.items() if name not in before),
        removed=tuple(image for name, image in before.items() if name not in after),
        changed=tuple(
            Change(before[name], image)
            for name, image in after.items()
            if name in before and _select_content(before[name]) != _select_content(image)
        ),
        new={digest: size for digest, size in has.items() if digest not in had},
        gone={digest: size for digest, size in had.items() if digest not in has},
        newly_omitted=_list_omitted(latter, former),
        formerly_omitted=_list_omitted(former, latter),
    )


def _list_needed(lock: Lock) -> dict[Digest, int]:
    return dict((*lock.blobs, *lock.omitted))


def _list_omitted(lock: Lock, other: Lock) -> dict[Digest, int]:
    """Return the blobs that `lock` omits and that `other` contains, with their sizes."""
    return {digest: size for digest, size in lock.omitted if digest in other.sizes}


def _select_content(image: LockedImage) -> tuple[object, ...]:
    """Return the fields that are compared: those that an import uses, so not `sources`."""
    return image.root, image.platforms, image.referrers
