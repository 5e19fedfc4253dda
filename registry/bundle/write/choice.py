"""Which parts of an image go into a bundle."""

from dataclasses import dataclass

from registry.bundle.format.lock import Mode
from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Choice:
    """Which platforms of an index to include, and which layers to omit.

    `have` are layers that the importing side has. `only`, if it is not None, are all blobs that the
    importing side still needs. Without `platforms`, the platforms that need blobs of `only` are
    included. `requires` are the ids of the documents that list these blobs.
    """

    mode: Mode
    platforms: tuple[str, ...]
    have: frozenset[Digest] = frozenset()
    only: frozenset[Digest] | None = None
    requires: tuple[str, ...] = ()

    def leaves_out(self, layer: Digest) -> bool:
        """Whether the bundle omits a layer, because the importing side has it."""
        return layer in self.have or (self.only is not None and layer not in self.only)
