"""Reports on images: how much is stored, for which platforms, and what is missing. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.catalog.image_graph import Graph, NamedImage


@dataclass(frozen=True, slots=True)
class PlatformReport:
    """One platform of an image; `missing` has the digests of blobs that are not stored.

    `missing_sizes` are their sizes in bytes, and `missing_bytes` is the sum. If the manifest itself
    is missing, its blobs are not known: then `missing` has only the digest of the manifest,
    `missing_sizes` is empty, and `missing_bytes` is None. `foreign` are sentences about those of
    the missing blobs that the upstream need not have (`oci/foreign_layers.py`).
    """

    platform: str
    digest: str
    missing: tuple[str, ...]
    missing_bytes: int | None
    missing_sizes: tuple[int, ...] = ()
    is_pinned: bool = False
    foreign: tuple[str, ...] = ()

    @property
    def has_manifest(self) -> bool:
        """Whether its manifest is stored."""
        return self.missing_bytes is not None

    @property
    def is_complete(self) -> bool:
        """Whether its manifest and all blobs are stored."""
        return not self.missing

    @property
    def can_be_completed(self) -> bool:
        """Whether a download brings something: not if all missing blobs are foreign."""
        return len(self.missing) > len(self.foreign)


@dataclass(frozen=True, slots=True)
class ImageReport:
    """An image as operators see it. Sizes are the bytes that are stored.

    No image of another name uses the `unique` bytes, so they are what its removal frees; the
    others are `shared`. `pulled` is when a client last pulled the image (epoch seconds, 0 for
    never). `pins` are the names of the pins that keep the image. If the image was imported,
    `bundle` is the id of the bundle, `signer` the name of the key that signed the bundle, and
    `imported` the time (epoch seconds); otherwise these are empty and 0. `gone` is when its
    upstream first said that it does not have the tag any more (epoch seconds, 0: it has).
    """

    repository: str
    reference: str
    digest: str
    media_type: str
    unique: int
    shared: int
    pulled: float
    platforms: tuple[PlatformReport, ...]
    pins: tuple[str, ...]
    bundle: str = ""
    signer: str = ""
    imported: float = 0.0
    gone: float = 0.0

    @property
    def name(self) -> str:
        """The image as people write it: repository, and tag or digest."""
        return f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"

    @property
    def size(self) -> int:
        """All its bytes that are stored."""
        return self.unique + self.shared

    @property
    def is_complete(self) -> bool:
        """Whether all its platforms are complete."""
        return bool(self.platforms) and all(each.is_complete for each in self.platforms)


class ImageReporter:
    """Describes the images of one graph."""

    def __init__(self, graph: Graph, pinned: Mapping[str, Iterable[str]]) -> None:
        """`pinned` has the digests that each pin keeps, by the name of the pin."""
        self._graph = graph
        self._pins: dict[str, list[str]] = {}
        for name, digests in pinned.items():
            for digest in set(digests):
                self._pins.setdefault(digest, []).append(name)
        self._uses: Counter[str] = Counter()  # how many names lead to each blob
        for root, names in Counter(image.digest for image in graph.images).items():
            for digest in graph.reach(root):
                self._uses[digest] += names

    def describe(self, image: NamedImage, platforms: Mapping[str, str]) -> ImageReport:
        """Describe an image; `platforms` has the platforms of its manifests, by digest."""
        graph = self._graph
        stored = [digest for digest in graph.reach(image.digest) if digest in graph.stored]
        unique = sum(graph.stored[digest] for digest in stored if self._uses[digest] == 1)
        return ImageReport(
            image.repository,
            image.reference,
            image.digest,
            graph.media_types.get(image.digest, ""),
            unique,
            sum(graph.stored[digest] for digest in stored) - unique,
            image.pulled,
            tuple(self._check(digest, name) for digest, name in platforms.items()),
            tuple(self._pins.get(image.digest, ())),
            bundle=image.bundle,
            signer=image.signer,
            imported=image.seen if image.bundle else 0.0,
            gone=image.gone,
        )

    def _check(self, digest: str, platform: str) -> PlatformReport:
        graph, is_pinned = self._graph, digest in self._pins
        if digest not in graph.media_types or digest not in graph.stored:
            return PlatformReport(platform, digest, (digest,), None, is_pinned=is_pinned)
        missing = {
            link.digest: link.size
            for link in graph.links.get(digest, ())
            if not link.is_manifest and link.digest not in graph.stored
        }
        sizes = tuple(missing.values())
        return PlatformReport(platform, digest, tuple(missing), sum(sizes), sizes, is_pinned)
