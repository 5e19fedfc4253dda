"""What there is of each image: how much, for which platforms, and what lacks. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.catalog.image_graph import Graph, NamedImage


@dataclass(frozen=True, slots=True)
class PlatformReport:
    """One platform of an image; `missing` are the digests that are known to lack.

    `missing_sizes` are theirs in bytes, and `missing_bytes` the sum; nothing and None where the
    manifest itself lacks, which says how many there are.
    """

    platform: str
    digest: str
    missing: tuple[str, ...]
    missing_bytes: int | None
    missing_sizes: tuple[int, ...] = ()
    is_pinned: bool = False

    @property
    def has_manifest(self) -> bool:
        """Whether its manifest is stored."""
        return self.missing_bytes is not None

    @property
    def is_complete(self) -> bool:
        """Whether all of it is stored."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class ImageReport:
    """An image as operators see it. Sizes are bytes that are stored here.

    `unique` is what no image of another name uses, `shared` the rest. `pulled` is when a client
    last asked for it (epoch seconds, 0: never), `pins` the names of the pins that keep it.
    `bundle` is the id of the bundle that its name came by, `signer` the name of the key that had
    signed it, and `imported` when that was (epoch seconds); empty and 0 where an upstream said it.
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

    @property
    def name(self) -> str:
        """The image as people write it."""
        return f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"

    @property
    def size(self) -> int:
        """All the bytes of it that are stored."""
        return self.unique + self.shared

    @property
    def is_complete(self) -> bool:
        """Whether every platform of it is stored."""
        return bool(self.platforms) and all(each.is_complete for each in self.platforms)


class ImageReporter:
    """Describes images of one graph."""

    def __init__(self, graph: Graph, pinned: Mapping[str, Iterable[str]]) -> None:
        """`pinned` has the digests that each pin keeps, by the pin's name."""
        self._graph = graph
        self._keepers: dict[str, list[str]] = {}
        for name, digests in pinned.items():
            for digest in set(digests):
                self._keepers.setdefault(digest, []).append(name)
        self._users: Counter[str] = Counter()
        for root in {image.digest for image in graph.images}:
            self._users.update(digest for digest in graph.reach(root) if digest in graph.stored)

    def describe(self, image: NamedImage, platforms: Mapping[str, str]) -> ImageReport:
        """Return all about an image; `platforms` has the manifests to report on, by digest."""
        graph = self._graph
        here = [digest for digest in graph.reach(image.digest) if digest in graph.stored]
        unique = sum(graph.stored[digest] for digest in here if self._users[digest] == 1)
        return ImageReport(
            image.repository,
            image.reference,
            image.digest,
            graph.media_types.get(image.digest, ""),
            unique,
            sum(graph.stored[digest] for digest in here) - unique,
            image.pulled,
            tuple(self._check(digest, name) for digest, name in platforms.items()),
            tuple(self._keepers.get(image.digest, ())),
            bundle=image.bundle,
            signer=image.signer,
            imported=image.seen if image.bundle else 0.0,
        )

    def _check(self, digest: str, platform: str) -> PlatformReport:
        graph, is_pinned = self._graph, digest in self._keepers
        if digest not in graph.media_types or digest not in graph.stored:
            return PlatformReport(platform, digest, (digest,), None, is_pinned=is_pinned)
        missing = {
            link.digest: link.size
            for link in graph.links.get(digest, ())
            if not link.is_manifest and link.digest not in graph.stored
        }
        sizes = tuple(missing.values())
        return PlatformReport(platform, digest, tuple(missing), sum(sizes), sizes, is_pinned)
