"""Planning a bundle: finds the blobs of images by name, and makes the lock of the bundle."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from registry.bundle.format.canonical_json import clean_text
from registry.bundle.format.head_files import is_runnable
from registry.bundle.format.lock import ImageRequest, Lock, LockedImage, Mode
from registry.content.content import Content
from registry.content.manifests import ManifestStore
from registry.errors import EntrepotError, ImageIncomplete, PlatformUnknown
from registry.oci import platforms
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor, Manifest, parse_manifest
from registry.oci.names import Reference, Tag, format_image


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


@dataclass(slots=True)
class Plan:
    """A bundle that can be written.

    `failures` has the reason for each image that is not included, by its name. `absent` has the
    chosen platforms that an image was not built for, by its name. An image without an index is
    included even if it was built for another platform; `foreign` has that platform, by its name.
    """

    lock: Lock
    manifests: dict[Digest, Manifest]
    failures: dict[str, str] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)


class Planner:
    """Plans bundles of stored images; downloads nothing."""

    def __init__(
        self, manifests: ManifestStore, content: Content, *, is_offline: bool = False
    ) -> None:
        """`is_offline` says whether no upstream is asked: then no message advises a download."""
        self._manifests = manifests
        self._content = content
        self._is_offline = is_offline

    async def plan(self, requests: Iterable[ImageRequest], choice: Choice) -> Plan:
        """Plan a bundle of those requested images that are stored completely.

        Raises:
            StoreError: the catalog or the disk failed.
        """
        images: list[LockedImage] = []
        manifests: dict[Digest, Manifest] = {}
        failures: dict[str, str] = {}
        absent: dict[str, list[str]] = {}
        foreign: dict[str, str] = {}
        for request in sorted(
            requests, key=lambda each: format_image(each.repository, each.reference)
        ):
            name = format_image(request.repository, request.reference)
            walk = _ImageWalk(self._manifests, self._content, request, choice)
            try:
                found = await walk.go()
            except ImageIncomplete as error:
                failures[name] = f"{error}; {self._format_cure(walk)}"
                continue
            except EntrepotError as error:
                failures[name] = str(error)
                continue
            if found.absent:
                absent[name] = found.absent
            if found.foreign:
                foreign[name] = found.foreign
            images += found.images
            manifests |= found.manifests
        lock = _build_lock(choice, images, manifests)
        return Plan(lock, manifests, failures, absent, foreign)

    def _format_cure(self, walk: "_ImageWalk") -> str:
        if self._is_offline:
            return "no upstream is asked (offline = true): import a bundle that contains it"
        return f"run first: {walk.format_download()}"


class _ImageWalk:
    """Finds everything that one requested image needs."""

    def __init__(
        self, manifests: ManifestStore, content: Content, request: ImageRequest, choice: Choice
    ) -> None:
        self._catalog = manifests.catalog
        self._content = content
        self._request = request
        self._choice = choice
        self._repository = request.repository
        self.images: list[LockedImage] = []
        self.manifests: dict[Digest, Manifest] = {}
        self._platforms = choice.platforms
        self._names: Mapping[str, str] = {}  # the platform of each manifest, by digest
        self.absent: list[str] = []
        self.foreign = ""

    async def go(self) -> "_ImageWalk":
        root = await self._find(self._request.reference)
        self._names = found = root.platforms
        children = await self._choose(root)
        reference = self._request.reference
        inside: set[str] = set()
        if self._choice.mode == "flat" and found:
            del self.manifests[root.digest]  # the name will refer to the manifest of one platform
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
                sources=tuple(sorted(map(clean_text, self._request.sources))),
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
                raise self._report_missing()
            digest = record.digest
        return await self._read_digest(digest)

    async def _read(self, descriptor: Descriptor) -> Manifest:
        return await self._read_digest(descriptor.digest)

    async def _read_digest(self, digest: Digest) -> Manifest:
        if digest not in self.manifests:
            kind = self._catalog.find_held(self._repository, digest)
            if kind is None or await self._content.blobs.stat(digest) is None:
                platform = self._names.get(str(digest))
                what = f"the manifest of {platform}" if platform else f"the manifest {digest}"
                raise self._report_missing(f"{what} is missing")
            raw = await self._content.read_all(digest, MAX_MANIFEST)
            if raw is None:
                raise self._report_missing(f"the manifest {digest} has changed on disk")
            self.manifests[digest] = parse_manifest(raw, kind, digest)
        return self.manifests[digest]

    async def _choose(self, root: Manifest) -> list[Descriptor]:
        found = root.platforms
        if self._choice.mode == "complete" or not found:
            return list(root.children)
        self.absent = platforms.list_missing(self._choice.platforms, found.values())
        self._platforms = self._choice.platforms or await self._find_needed_platforms(root)
        chosen = {
            digest
            for digest, name in found.items()
            if any(platforms.matches(each, name) for each in self._platforms)
        }
        if not chosen or (self._choice.mode == "flat" and len(chosen) > 1):
            name = format_image(self._repository, self._request.reference)
            raise PlatformUnknown(name, ", ".join(self._platforms), sorted(set(found.values())))
        if self._choice.mode == "subset":
            chosen |= platforms.find_attestations(root.raw, chosen)
        return [child for child in root.children if str(child.digest) in chosen]

    async def _find_needed_platforms(self, root: Manifest) -> tuple[str, ...]:
        """Return the stored platforms that have blobs which the importing side still needs."""
        needed_platforms = set()
        for child in root.children:
            name = root.platforms.get(str(child.digest), "")
            if name and await self._content.blobs.stat(child.digest) is not None:
                manifest = await self._read_digest(child.digest)
                needed = {child.digest, *(blob.digest for blob in manifest.blobs)}
                needed_platforms |= {name} if needed & (self._choice.only or frozenset()) else set()
                del self.manifests[child.digest]
        return tuple(sorted(needed_platforms)) or (platforms.own_platform(),)

    async def _read_platform(self, image: Manifest) -> set[str]:
        config = image.blobs[0]
        raw = await self._content.read_all(config.digest, MAX_MANIFEST)
        found = platforms.read_platform(raw) if raw is not None else ""
        return {found} if found else set()

    def _find_foreign(self, inside: set[str]) -> str:
        """Return the platform of an image without an index, if it is not the chosen platform."""
        if self._choice.mode == "complete":
            return ""
        return next(
            (each for each in inside if platforms.is_for_another(each, self._platforms)), ""
        )

    async def _add_referrers(self, subject: Digest) -> list[Descriptor]:
        """Include the stored referrers of a manifest, and their referrers."""
        added = []
        for referrer in self._catalog.list_referrers(self._repository, subject):
            digest = referrer.descriptor.digest
            if digest not in self.manifests and await self._content.blobs.stat(digest) is not None:
                manifest = await self._read_digest(digest)
                added += [manifest.descriptor, *await self._add_referrers(digest)]
        return added

    async def _add_signatures(self, subject: Digest) -> None:
        """Include manifests whose tags contain `subject` (cosign; the referrers tag schema)."""
        for name in self._catalog.list_tags(self._repository):
            prefix = str(subject).replace(":", "-", 1)
            if name == prefix or name.startswith(f"{prefix}."):
                record = self._catalog.find_tag(self._repository, Tag(name))
                if record is None or await self._content.blobs.stat(record.digest) is None:
                    continue  # not stored: skipped, like a referrer that is not stored
                manifest = await self._read_digest(record.digest)
                for child in manifest.children:
                    if await self._content.blobs.stat(child.digest) is not None:
                        await self._read(child)
                image = LockedImage(self._repository, Tag(name), manifest.descriptor, is_extra=True)
                self.images.append(image)

    async def _refuse_incomplete(self) -> None:
        for manifest in self.manifests.values():
            for number, blob in enumerate(manifest.blobs):
                if number and self._choice.leaves_out(blob.digest):
                    continue
                size = await self._content.blobs.stat(blob.digest)
                if size is None:
                    raise self._report_missing(f"the blob {blob.digest} is missing")
                if size != blob.size:
                    raise self._report_missing(
                        f"the blob {blob.digest} has {size} bytes, not {blob.size}"
                    )

    def _report_missing(self, why: str = "") -> ImageIncomplete:
        return ImageIncomplete(format_image(self._repository, self._request.reference), why)

    def format_download(self) -> str:
        """Return the command that downloads what is missing of the image."""
        chosen = ["all"] if self._choice.mode == "complete" else self._platforms
        option = f" --platform {','.join(chosen)}" if chosen else ""
        name = format_image(self._repository, self._request.reference)
        return f"entrepot images warm {name}{option}"


def _build_lock(
    choice: Choice, images: Sequence[LockedImage], manifests: dict[Digest, Manifest]
) -> Lock:
    """Return the lock; manifests and configs, which are small, come before the layers."""
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
