"""What goes into a bundle: from the names of images to the blobs in the order of the file."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from registry.bundle.format.canonical_json import clean_text
from registry.bundle.format.head_files import is_runnable
from registry.bundle.format.lock import Lock, LockedImage, Mode
from registry.catalog.manifests import ManifestCatalog
from registry.errors import EntrepotError, ManifestUnknown, PlatformUnknown
from registry.oci import platforms
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor, Manifest, parse_manifest
from registry.oci.names import Reference, Repository, Tag, format_image
from registry.store.contract import BlobReader


@dataclass(frozen=True, slots=True)
class Want:
    """An image that somebody asked for, and where."""

    repository: Repository
    reference: Reference
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of an index's manifests to take, and which layers to leave out.

    `have` are layers that the other side has; `only`, if it is not None, are all that it lacks.
    Without `platforms`, those are taken that need something of `only`. `requires` are the ids of
    the documents that said so.
    """

    mode: Mode
    platforms: tuple[str, ...]
    have: frozenset[Digest] = frozenset()
    only: frozenset[Digest] | None = None
    requires: tuple[str, ...] = ()

    def leaves_out(self, layer: Digest) -> bool:
        """Whether the other side is said to have a layer."""
        return layer in self.have or (self.only is not None and layer not in self.only)


@dataclass(slots=True)
class Plan:
    """A bundle that can be written.

    `failures` are the images that are left out, and why; `absent` has those of the platforms asked
    for that an image is not made for, by its name; `foreign` the one platform of those without an
    index that are not for all that was asked for, and are taken all the same.
    """

    lock: Lock
    manifests: dict[Digest, Manifest]
    failures: dict[str, str] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)


class Planner:
    """Plans bundles of what is stored; fetches nothing."""

    def __init__(self, catalog: ManifestCatalog, store: BlobReader) -> None:
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
        absent: dict[str, list[str]] = {}
        foreign: dict[str, str] = {}
        for want in sorted(wants, key=lambda each: format_image(each.repository, each.reference)):
            name = format_image(want.repository, want.reference)
            try:
                found = await _Walk(self._catalog, self._store, want, choice).go()
            except EntrepotError as error:
                failures[name] = str(error)
                continue
            if found.absent:
                absent[name] = found.absent
            if found.foreign:
                foreign[name] = found.foreign
            images += found.images
            manifests |= found.manifests
        lock = _lock(choice, images, manifests)
        return Plan(lock, manifests, failures, absent, foreign)


class _Walk:
    """The way from one name to everything it needs."""

    def __init__(
        self, catalog: ManifestCatalog, store: BlobReader, want: Want, choice: Choice
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._want = want
        self._choice = choice
        self._repository = want.repository
        self.images: list[LockedImage] = []
        self.manifests: dict[Digest, Manifest] = {}
        self._wanted = choice.platforms
        self.absent: list[str] = []
        self.foreign = ""

    async def go(self) -> "_Walk":
        root = await self._find(self._want.reference)
        found = root.platforms
        children = await self._choose(root)
        reference = self._want.reference
        inside: set[str] = set()
        if self._choice.mode == "flat" and found:
            del self.manifests[root.digest]  # the name leads straight to the one platform
            (root,) = [await self._read(child) for child in children]
            inside = {found[str(root.digest)]}
            children = []
            reference = reference if isinstance(reference, Tag) else root.digest
        elif is_runnable(root):
            inside = await self._read_platform(root)
            self.foreign = self._find_foreign(inside)
        for child in children:
            await self._read(child)
        subjects = [root.digest, *(child.digest for child in children)]
        referrers = [each for subject in subjects for each in await self._add_referrers(subject)]
        inside |= {found[str(child.digest)] for child in children if str(child.digest) in found}
        self.images.append(
            LockedImage(
                self._repository,
                reference,
                root.descriptor,
                platforms=tuple(sorted(inside)),
                missing=tuple(sorted(set(found.values()) - inside)) if children else (),
                referrers=tuple(referrers),
                sources=tuple(sorted(map(clean_text, self._want.sources))),
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
            raw = await self._read_whole(digest, size)
            if not digest.matches(raw):
                raise self._lacking(f"the manifest {digest} has changed on disk")
            self.manifests[digest] = parse_manifest(raw, kind, digest)
        return self.manifests[digest]

    async def _choose(self, root: Manifest) -> list[Descriptor]:
        found = root.platforms
        if self._choice.mode == "complete" or not found:
            return list(root.children)
        self.absent = platforms.list_absent(self._choice.platforms, found.values())
        self._wanted = self._choice.platforms or await self._find_lacking(root)
        chosen = {
            digest
            for digest, name in found.items()
            if any(platforms.matches(each, name) for each in self._wanted)
        }
        if not chosen or (self._choice.mode == "flat" and len(chosen) > 1):
            name = format_image(self._repository, self._want.reference)
            raise PlatformUnknown(name, ", ".join(self._wanted), sorted(set(found.values())))
        if self._choice.mode == "subset":
            chosen |= platforms.find_attestations(root.raw, chosen)
        return [child for child in root.children if str(child.digest) in chosen]

    async def _find_lacking(self, root: Manifest) -> tuple[str, ...]:
        """Return the platforms of which the other side lacks something, as far as it is here."""
        lacking = set()
        for child in root.children:
            name = root.platforms.get(str(child.digest), "")
            if name and await self._store.stat(child.digest) is not None:
                manifest = await self._read_digest(child.digest)
                needed = {child.digest, *(blob.digest for blob in manifest.blobs)}
                lacking |= {name} if needed & (self._choice.only or frozenset()) else set()
                del self.manifests[child.digest]
        return tuple(sorted(lacking)) or (platforms.own_platform(),)

    async def _read_platform(self, image: Manifest) -> set[str]:
        config = image.blobs[0]
        if config.size > MAX_MANIFEST or await self._store.stat(config.digest) != config.size:
            return set()
        found = platforms.read_platform(await self._read_whole(config.digest, config.size))
        return {found} if found else set()

    def _find_foreign(self, inside: set[str]) -> str:
        """Return the platform of an image without an index if it is not all that was asked for."""
        if self._choice.mode == "complete":
            return ""
        return next((each for each in inside if platforms.is_foreign(each, self._wanted)), "")

    async def _read_whole(self, digest: Digest, size: int) -> bytes:
        return b"".join([piece async for piece in self._store.read(digest, Span(0, size))])

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
                record = self._catalog.find_tag(self._repository, Tag(name))
                if record is None or await self._store.stat(record.digest) is None:
                    continue  # as far as it is here, like a referrer
                manifest = await self._read_digest(record.digest)
                for child in manifest.children:
                    if await self._store.stat(child.digest) is not None:
                        await self._read(child)
                image = LockedImage(self._repository, Tag(name), manifest.descriptor, is_extra=True)
                self.images.append(image)

    async def _refuse_incomplete(self) -> None:
        for manifest in self.manifests.values():
            for number, blob in enumerate(manifest.blobs):
                if number and self._choice.leaves_out(blob.digest):
                    continue
                size = await self._store.stat(blob.digest)
                if size is None:
                    raise self._lacking(f"the blob {blob.digest} is not in this cache")
                if size != blob.size:
                    raise self._lacking(f"the blob {blob.digest} has {size} bytes, not {blob.size}")

    def _lacking(self, why: str) -> ManifestUnknown:
        name = format_image(self._repository, self._want.reference)
        wanted = ["all"] if self._choice.mode == "complete" else self._wanted
        option = f" --platform {','.join(wanted)}" if wanted else ""
        cure = f"{why}; entrepot images warm {name}{option} fetches it"
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
    pure = layers.keys() - heads.keys()
    left_out = {digest for digest in pure if choice.leaves_out(digest)}
    return Lock(
        mode=choice.mode,
        images=tuple(unique[key] for key in sorted(unique)),
        manifests={digest: manifests[digest].media_type for digest in sorted(manifests)},
        blobs=(*_sorted(heads, heads), *_sorted(layers, pure - left_out)),
        omitted=_sorted(layers, left_out),
        requires=tuple(sorted(choice.requires)),
    )


def _sorted(sizes: dict[Digest, int], chosen: Collection[Digest]) -> tuple[tuple[Digest, int], ...]:
    return tuple((digest, sizes[digest]) for digest in sorted(chosen))
