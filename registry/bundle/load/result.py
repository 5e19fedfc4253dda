"""What came of an import, for whoever tells people."""

from dataclasses import dataclass, field

from registry.bundle.format.lock import LockedImage
from registry.bundle.load.blobs import LoadedBlobs
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor


@dataclass(frozen=True, slots=True)
class Moved:
    """A tag that led elsewhere before; backwards, if what it leads to now was made earlier."""

    image: str
    former: Digest
    now: Digest
    is_backwards: bool


@dataclass(slots=True)
class Imported:
    """What an import did.

    `images` are all that are whole here now; `known` are the names of those among them that were so
    before. `incomplete` are images by name with what they lack: their tags stay as they were.
    `refused` are those that contradict `bundle.json`, with why. `damaged` are blobs with the names
    of the images that need them. `flaws` is what else is not as it was made, and harmed nothing.
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
        """What images lack, with sizes in bytes."""
        return {each.digest: each.size for lacks in self.incomplete.values() for each in lacks}
