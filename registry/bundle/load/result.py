"""The result of an import."""

from dataclasses import dataclass, field

from registry.bundle.format.lock import LockedImage
from registry.bundle.load.blobs import LoadedBlobs
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor


@dataclass(frozen=True, slots=True)
class Moved:
    """A tag that led to another image before; `is_backwards` if an older bundle moves it back."""

    image: str
    former: Digest
    now: Digest
    is_backwards: bool


@dataclass(slots=True)
class ImageDecision:
    """What an import does with an image.

    `manifests` are its manifests that are there, the root first. `missing` are the blobs that are
    not there: then the name is not recorded. `is_known` says whether the image was complete under
    this name before. `refused` is the reason why the image is not imported at all.
    """

    image: LockedImage
    manifests: list[Digest] = field(default_factory=list)
    missing: list[Descriptor] = field(default_factory=list)
    is_known: bool = False
    moved: Moved | None = None
    refused: str = ""


@dataclass(slots=True)
class Imported:
    """The result of an import.

    `images` are all images that are complete now, and `known` the names of those that were complete
    before. `incomplete` has the missing blobs of the other images by name; their tags are not
    changed. `refused` has the reason for each image that contradicts `bundle.json`. `damaged` has
    the names of the images that need a damaged blob, by blob. `flaws` are sentences about other
    damage. `volumes` are the numbers of the volumes that were not given, of `volume_count` in all.
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
    volume_count: int = 0

    def add(self, decision: ImageDecision) -> None:
        """Add the decision about an image."""
        name = decision.image.name
        if decision.refused:
            self.refused[name] = decision.refused
        elif decision.missing:
            self.incomplete[name] = decision.missing
        else:
            self.images.append(decision.image)
        if decision.is_known:
            self.known.add(name)
        if decision.moved is not None:
            self.moved.append(decision.moved)

    @property
    def is_whole(self) -> bool:
        """Whether all images of the bundle are complete now."""
        return not (self.incomplete or self.refused)

    @property
    def need(self) -> dict[Digest, int]:
        """The blobs that incomplete images still need, with their sizes in bytes."""
        return {each.digest: each.size for missing in self.incomplete.values() for each in missing}
