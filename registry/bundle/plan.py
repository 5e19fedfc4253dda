"""What goes into a bundle: from the names of images to the blobs in the order of the file."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from registry.bundle.lock import Lock, LockedImage, Mode
from registry.catalog.manifests import ManifestCatalog
from registry.errors import EntrepotError, ManifestUnknown, PlatformUnknown
from registry.oci import media, platform
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest, parse_manifest
from registry.oci.names import Reference, Repository, Tag, spell_image
from registry.oci.span import Span
from registry.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Want:
    """An image that somebody asked for, and where."""

    repository: Repository
    reference: Reference
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of an index's manifests to take; `have` are layers that the other side has."""

    mode: Mode
    platforms: tuple[str, ...]
    have: frozenset[Digest] = frozenset()


@dataclass(slots=True)
class Plan:
    """A bundle that can be written; `failures` are the images that are left out, and why."""

    lock: Lock
    manifests: dict[Digest, Manifest]
    failures: dict[str, str] = field(default_factory=dict)


class Planner:
    """Plans bundles of what is stored; fetches nothing."""

    def __init__(self, catalog: ManifestCatalog, store: BlobStore) -> None:
        self._catalog = catalog
        self._store = store

    async def plan(self, wants: Iterable[Want], choice: Choice) -> Plan:
        """Plan a bundle of all images that are here, whole, as far as they were chosen.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        images: list[LockedImage] = []
        manifests: dict[Digest, Manifest] = {}
        failures: dict[str, str] = {}
        for want in sorted(wants, key=lambda each: spell_image(each.repository, each.reference)):
            try:
                found = await _Walk(self._catalog, self._store, want, choice).go()
            except EntrepotError as error:
                failures[spell_image(want.repository, want.reference)] = str(error)
                continue
            images += found.images
            manifests |= found.manifests
        return Plan(_lock(choice, images, manifests), manifests, failures)


class _Walk:
    """The way from one name to everything it needs."""

    def __init__(
        self, catalog: ManifestCatalog, store: BlobStore, want: Want, choice: Choice
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._want = want
        self._choice = choice
        self._repository = want.repository
        self.images: list[LockedImage] = []
        self.manifests: dict[Digest, Manifest] = {}

    async def go(self) -> "_Walk":
        root = await self._find(self._want.reference)
        found = platform.read_platforms(root.raw) if root.media_type in media.INDEXES else {}
        children = self._choose(root, found)
        inside: set[str] = set()
        if self._choice.mode == "flat" and found:
            del self.manifests[root.digest]  # the name leads straight to the one platform
            (root,) = [await self._read(child) for child in children]
            inside = {found[str(root.digest)]}
            children = []
        for child in children:
            await self._read(child)
        subjects = [root.digest, *(child.digest for child in children)]
        referrers = [each for subject in subjects for each in await self._add_referrers(subject)]
        inside |= {found[str(child.digest)] for child in children if str(child.digest) in found}
        self.images.append(
            LockedImage(
                self._repository,
                self._want.reference,
                root.descriptor,
                platforms=tuple(sorted(inside)),
                missing=tuple(sorted(set(found.values()) - inside)) if children else (),
                referrers=tuple(referrers),
                sources=self._want.sources,
            )
        )
        for subject in subjects:
            await self._add_signatures(subject)
        await self._refuse_incomplete()
        return self

    async def _find(self, reference: Reference) -> Manifest:
        digest = reference
        if isinstance(digest, Tag):
            record = self._catalog.find_tag(self._repository, digest)
            if record is None:
                raise self._lacking("it is not in this cache")
            digest = record.digest
        return await self._read_digest(digest)

    async def _read(self, descriptor: Descriptor) -> Manifest:
        return await self._read_digest(descriptor.digest)

    async def _read_digest(self, digest: Digest) -> Manifest:
        if digest not in self.manifests:
            kind = self._catalog.find_held(self._repository, digest)
            size = await self._store.stat(digest)
            if kind is None or size is None:
                raise self._lacking(f"the manifest {digest} is not in this cache")
            raw = b"".join([piece async for piece in self._store.read(digest, Span(0, size))])
            if not digest.matches(raw):
                raise self._lacking(f"the manifest {digest} has changed on disk")
            self.manifests[digest] = parse_manifest(raw, kind, digest)
        return self.manifests[digest]

    def _choose(self, root: Manifest, found: dict[str, str]) -> list[Descriptor]:
        if self._choice.mode == "complete" or not found:
            return list(root.children)
        wanted = self._choice.platforms
        chosen = {
            digest
            for digest, name in found.items()
            if any(platform.matches(each, name) for each in wanted)
        }
        if not chosen or (self._choice.mode == "flat" and len(chosen) > 1):
            name = spell_image(self._repository, self._want.reference)
            raise PlatformUnknown(name, ", ".join(wanted), sorted(set(found.values())))
        chosen |= (
            platform.find_attestations(root.raw, chosen) if self._choice.mode == "subset" else set()
        )
        return [child for child in root.children if str(child.digest) in chosen]

    async def _add_referrers(self, subject: Digest) -> list[Descriptor]:
        """Take along what refers to a manifest, as far as it is here."""
        added = []
        for referrer in self._catalog.list_referrers(self._repository, subject):
            digest = referrer.descriptor.digest
            if digest not in self.manifests and await self._store.stat(digest) is not None:
                manifest = await self._read_digest(digest)
                added += [manifest.descriptor, *await self._add_referrers(digest)]
        return added

    async def _add_signatures(self, subject: Digest) -> None:
        """Take along what tags name as belonging to a manifest (cosign; referrers tag scheme)."""
        for name in self._catalog.list_tags(self._repository):
            prefix = str(subject).replace(":", "-", 1)
            if name == prefix or name.startswith(f"{prefix}."):
                manifest = await self._find(Tag(name))
                for child in manifest.children:
                    await self._read(child)
                image = LockedImage(self._repository, Tag(name), manifest.descriptor, is_extra=True)
                self.images.append(image)

    async def _refuse_incomplete(self) -> None:
        for manifest in self.manifests.values():
            for blob in manifest.blobs:
                if blob.digest in self._choice.have:
                    continue
                if await self._store.stat(blob.digest) is None:
                    raise self._lacking(f"the blob {blob.digest} is not in this cache")

    def _lacking(self, why: str) -> ManifestUnknown:
        name = spell_image(self._repository, self._want.reference)
        cure = f"{why}; entrepot images warm {name} fetches it"
        return ManifestUnknown(str(self._repository), str(self._want.reference), cure)


def _lock(choice: Choice, images: Sequence[LockedImage], manifests: dict[Digest, Manifest]) -> Lock:
    """Order everything: manifests and configs first, which are small, then layers, by digest."""
    unique = {(image.name, image.root.digest): image for image in images}
    heads = {digest: len(manifest.raw) for digest, manifest in manifests.items()}
    layers: dict[Digest, int] = {}
    for manifest in manifests.values():
        config, *others = manifest.blobs or (None,)
        heads |= {config.digest: config.size} if config is not None else {}
        layers |= {blob.digest: blob.size for blob in others}
    omitted = _sorted(layers, choice.have & layers.keys())
    kept = _sorted(layers, layers.keys() - choice.have - heads.keys())
    return Lock(
        mode=choice.mode,
        images=tuple(unique[key] for key in sorted(unique)),
        manifests={digest: manifests[digest].media_type for digest in sorted(manifests)},
        blobs=(*_sorted(heads, heads), *kept),
        omitted=omitted,
    )


def _sorted(sizes: dict[Digest, int], chosen: Collection[Digest]) -> tuple[tuple[Digest, int], ...]:
    return tuple((digest, sizes[digest]) for digest in sorted(chosen))
