"""What two bundles do not have in common. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from registry.bundle.format.lock import Lock, LockedImage
from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Change:
    """An image that both have, and that is not the same in both."""

    former: LockedImage
    latter: LockedImage

    @property
    def gained(self) -> list[str]:
        """The platforms that only the latter has inside."""
        return sorted({*self.latter.platforms} - {*self.former.platforms})

    @property
    def lost(self) -> list[str]:
        """The platforms that only the former has inside."""
        return sorted({*self.former.platforms} - {*self.latter.platforms})

    @property
    def has_moved(self) -> bool:
        """Whether the name leads to something else."""
        return self.former.root != self.latter.root


@dataclass(frozen=True, slots=True)
class Difference:
    """What is only in the latter, only in the former, and in both, but changed.

    `new` and `gone` are blobs by digest, with sizes in bytes; what a bundle leaves out counts as
    its own, since its images need it all the same.
    """

    added: tuple[LockedImage, ...]
    removed: tuple[LockedImage, ...]
    changed: tuple[Change, ...]
    new: Mapping[Digest, int]
    gone: Mapping[Digest, int]

    @property
    def is_none(self) -> bool:
        """Whether both bring the same images."""
        return not (self.added or self.removed or self.changed or self.new or self.gone)


def compare(former: Lock, latter: Lock) -> Difference:
    """Return what has to be done to `former` to make it `latter`."""
    before = {image.name: image for image in former.images}
    after = {image.name: image for image in latter.images}
    had, has = _list_needs(former), _list_needs(latter)
    return Difference(
        added=tuple(image for name, image in after.items() if name not in before),
        removed=tuple(image for name, image in before.items() if name not in after),
        changed=tuple(
            Change(before[name], image)
            for name, image in after.items()
            if name in before and _tell_apart(before[name]) != _tell_apart(image)
        ),
        new={digest: size for digest, size in has.items() if digest not in had},
        gone={digest: size for digest, size in had.items() if digest not in has},
    )


def _list_needs(lock: Lock) -> dict[Digest, int]:
    return dict((*lock.blobs, *lock.omitted))


def _tell_apart(image: LockedImage) -> tuple[object, ...]:
    """Return what of an image matters on the other side; where it was asked for does not."""
    return image.root, image.platforms, image.referrers
