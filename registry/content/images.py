"""Finding, describing, pinning and unpinning images, for the commands of operators."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from registry.catalog.image_graph import Graph, ImageGraphCatalog, NamedImage
from registry.catalog.pins import Pin, Root
from registry.content.content import Content
from registry.content.image_report import ImageReport, ImageReporter, PlatformReport
from registry.content.pins import PinRequest, Pins
from registry.errors import ImageUnknown, ManifestInvalid, PlatformUnknown
from registry.oci import media_types, platforms
from registry.oci.digest import Digest
from registry.oci.foreign_layers import describe_foreign
from registry.oci.image_patterns import ImagePattern, find_similar
from registry.oci.manifest import parse_manifest
from registry.oci.names import (
    Reference,
    Repository,
    format_image,
    parse_reference,
    parse_repository,
)

Trusted = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class PinPlan:
    """What to pin: names with their manifests, and the stored digests that the pins will keep."""

    images: list[PinRequest]
    stored: frozenset[str]


class Images:
    """Reads the catalog and the disk; asks no upstream."""

    def __init__(
        self,
        catalog: ImageGraphCatalog,
        pins: Pins,
        content: Content,
    ) -> None:
        self._catalog = catalog
        self._pins = pins
        self._content = content

    async def find(self, patterns: Sequence[ImagePattern]) -> list[tuple[Repository, Reference]]:
        """Return the images that match any of the patterns; all images if there are no patterns.

        Raises:
            StoreError: the catalog refused.
        """
        graph = await self._catalog.load()
        return [
            (parse_repository(image.repository), parse_reference(image.reference))
            for image in _choose(graph, patterns)
        ]

    async def describe(
        self, patterns: Sequence[ImagePattern], trusted: Trusted = MappingProxyType({})
    ) -> list[ImageReport]:
        """Describe the images that match any of the patterns; all images if there are no patterns.

        `trusted` says for each upstream whose bytes its clients get (decision record 0030); other
        bytes count as missing in its images. Upstreams without an entry get all bytes.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        graph = await self._catalog.load()
        pinned = {pin.name: _list_kept(graph, pin) for pin in self._pins.list_all()}
        reporters: dict[frozenset[str] | None, ImageReporter] = {}
        found = []
        for image in _choose(graph, patterns):
            registries = trusted.get(parse_repository(image.repository).registry)
            if registries not in reporters:
                known = graph
                if registries is not None:
                    known = graph.keep_stored(await self._catalog.list_delivered(registries))
                reporters[registries] = ImageReporter(known, pinned)
            platforms = await self._find_platforms(graph, image.digest)
            report = reporters[registries].describe(image, platforms)
            found.append(await self._add_foreign(report, graph))
        return found

    async def _add_foreign(self, image: ImageReport, graph: Graph) -> ImageReport:
        """Say which of the missing blobs are foreign: only the manifest knows it."""
        found = []
        for each in image.platforms:
            foreign: tuple[str, ...] = ()
            if each.missing and each.has_manifest:
                foreign = await self._list_foreign(graph, each)
            found.append(replace(each, foreign=foreign))
        return replace(image, platforms=tuple(found))

    async def _list_foreign(self, graph: Graph, platform: PlatformReport) -> tuple[str, ...]:
        raw = await self._read(platform.digest)
        if raw is None:
            return ()
        try:
            manifest = parse_manifest(raw, graph.media_types[platform.digest])
        except ManifestInvalid:
            return ()
        return tuple(
            describe_foreign(blob)
            for blob in manifest.blobs
            if blob.is_foreign and str(blob.digest) in platform.missing
        )

    async def list_complete(self, repository: Repository, reference: Reference) -> list[str]:
        """Return the platforms of which an image is stored completely.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        found = await self.describe([ImagePattern((str(repository),), str(reference))])
        return [each.platform for one in found for each in one.platforms if each.is_complete]

    async def list_stored(self) -> list[tuple[Digest, int]]:
        """Return every stored blob, manifests included, and its size in bytes.

        Raises:
            StoreError: the catalog refused.
        """
        graph = await self._catalog.load()
        return [(Digest.parse(digest), size) for digest, size in graph.stored.items()]

    async def plan_pins(
        self, names: Iterable[tuple[Repository, Reference]], platforms: Sequence[str]
    ) -> PinPlan:
        """Return what to pin to keep images, for all their platforms or only for `platforms`.

        Raises:
            ImageUnknown: one of the images is not stored here.
            PlatformUnknown: one of the images has no manifest for one of the platforms.
            StoreError: the catalog or the disk refused.
        """
        graph = await self._catalog.load()
        named = {
            (image.repository, name): image.digest
            for image in graph.images
            for name in (image.reference, image.digest)
        }
        planned: list[PinRequest] = []
        for repository, reference in names:
            digest = named.get((str(repository), str(reference)))
            if digest is None:
                digest = _find_below(graph, repository, reference)
            chosen = [Root(Digest.parse(digest), is_deep=True)]
            if platforms:
                found = await self._find_platforms(graph, digest)
                name = format_image(repository, reference)
                chosen = _choose_roots(name, digest, platforms, found)
            planned.append((repository, reference, chosen))
        roots = {str(root.digest) for _, _, each in planned for root in each}
        stored = await self._pins.list_stored(planned)
        return PinPlan(planned, stored | {root for root in roots if root in graph.stored})

    async def pin(self, plan: PinPlan) -> None:
        """Pin images as planned; all blobs that were stored at the time of the plan are now kept.

        Raises:
            StoreError: the catalog or the disk refused, or blobs were deleted after the plan.
        """
        await self._pins.put(plan.images, plan.stored)

    async def unpin(self, names: Iterable[tuple[Repository, Reference]]) -> int:
        """Unpin images, and return how many of them were pinned."""
        return await self._pins.remove(names)

    def list_pins(self) -> list[Pin]:
        """Return every pin."""
        return self._pins.list_all()

    async def _find_platforms(self, graph: Graph, digest: str) -> dict[str, str]:
        """Return the platform of each manifest of an image, by digest; "" if it is not known."""
        raw = await self._read(digest)
        if raw is None:
            return {digest: ""}
        if graph.media_types.get(digest) in media_types.INDEXES:
            return platforms.read_platforms(raw) or {digest: ""}
        try:
            manifest = parse_manifest(raw, graph.media_types[digest])
        except ManifestInvalid:
            return {digest: ""}
        config = await self._read(str(manifest.blobs[0].digest)) if manifest.blobs else None
        return {digest: platforms.read_platform(config) if config else ""}

    async def _read(self, name: str) -> bytes | None:
        return await self._content.read_all(Digest.parse(name), _LARGEST)


_LARGEST = 8 * 1024 * 1024  # bytes; larger blobs are not configs or manifests, and are not read


def _find_below(graph: Graph, repository: Repository, reference: Reference) -> str:
    """Return the digest of a manifest that an index of this repository lists.

    Raises:
        ImageUnknown: no index lists it.
    """
    roots = [image.digest for image in graph.images if image.repository == str(repository)]
    if str(reference) in graph.media_types and str(reference) in graph.reach(*roots):
        return str(reference)
    near = find_similar(repository, [image.name for image in graph.images])
    raise ImageUnknown(format_image(repository, reference), near)


def _choose(graph: Graph, patterns: Sequence[ImagePattern]) -> Iterator[NamedImage]:
    """Yield the images that match any of the patterns; all images if there are no patterns.

    A glob is compared with the tag of an image, or with its digest if no tag refers to it.
    """
    exact = {(*each.names, each.references) for each in patterns if each.is_exact}
    globs = [each for each in patterns if not each.is_exact]
    for image in graph.images:
        names = [(image.repository, name) for name in (image.reference, image.digest)]
        if (
            not patterns
            or not exact.isdisjoint(names)
            or any(glob.matches(*names[0]) for glob in globs)
        ):
            yield image


def _list_kept(graph: Graph, pin: Pin) -> set[str]:
    """Return the digests that a pin keeps."""
    roots = {str(root.digest) for root in pin.roots}
    return roots | set(graph.reach(*(str(root.digest) for root in pin.roots if root.is_deep)))


def _choose_roots(
    image: str, digest: str, wanted: Sequence[str], found: dict[str, str]
) -> list[Root]:
    """Return a root for each manifest of the wanted platforms, and one for the index alone."""
    roots = {}
    for name in wanted:
        chosen = [child for child, known in found.items() if platforms.matches(name, known)]
        if not chosen:
            raise PlatformUnknown(image, name, sorted(filter(None, found.values())))
        roots.update({child: Root(Digest.parse(child), True, name) for child in chosen})
    roots.setdefault(digest, Root(Digest.parse(digest), is_deep=False))
    return list(roots.values())
