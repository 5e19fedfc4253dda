"""The result of an import."""

from dataclasses import dataclass, field

from registry.bundle.format.lock import LockedImage
from registry.bundle.load.blobs import LoadedBlobs
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor


@dataclass(frozen=True, slots=True)
class Moved:
    """A tag that pointed to another image before; backwards if the new one was made earlier."""

    image: str
    former: Digest
    now: Digest
    is_backwards: bool


@dataclass(slots=True)
class Imported:
    """What an import did.

    `images` are all images that are complete here now, and `known` the names of those that were so
    before. `incomplete` are the other images by name, with what is missing; their tags stay as they
    were. `refused` are images that contradict `bundle.json`, with the reason. `damaged` are blobs
    with the names of the images that need them. `flaws` is other damage, which has harmed no image.
    `volumes` are the numbers of the volumes that were not given.
    """

    blobs: LoadedBlobs
    images: list[LockedImage] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    incomplete: dict[str, list[Descriptor]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    moved: list[Moved] = field(default_factory=list)
    damaged: dict[Digest, list[str]] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)
    volumes: list[int] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all images that the bundle promises are here now."""
        return not (self.incomplete or self.refused)

    @property
    def need(self) -> dict[Digest, int]:
        """The blobs that images are missing, with sizes in bytes."""
        return {each.digest: each.size for missing in self.incomplete.values() for each in missing}
