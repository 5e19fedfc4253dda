"""An image of a bundle that is being imported."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from registry.bundle.format.lock import Lock, LockedImage
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest


@dataclass(frozen=True, slots=True)
class ImageImport:
    """An image of a lock, and the manifests of the bundle that are stored.

    `missing` are the blobs that are not stored, by the root that needs them; `before` are those
    blobs of the lock that were stored before the import.
    """

    lock: Lock
    image: LockedImage
    manifests: Mapping[Digest, Manifest]
    missing: dict[Digest, list[Descriptor]]
    before: AbstractSet[Digest]
    signer: str

    def reach(self, root: Digest) -> list[Digest]:
        """Return the stored manifests from `root` down: `root`, then its children, and so on."""
        found: dict[Digest, None] = {}
        level = [root]
        while level:
            level = [d for d in dict.fromkeys(level) if d in self.manifests and d not in found]
            found |= dict.fromkeys(level)
            level = [child.digest for digest in level for child in self.manifests[digest].children]
        return list(found)
