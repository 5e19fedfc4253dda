"""Finding all the stored parts of one image that a bundle includes."""

from collections.abc import Mapping

from registry.bundle.format.canonical_json import clean_text
from registry.bundle.format.head_files import is_runnable
from registry.bundle.format.lock import ImageRequest, LockedImage
from registry.bundle.write.choice import Choice
from registry.content.content import Content
from registry.content.manifests import ManifestStore
from registry.errors import ImageIncomplete, PlatformUnknown
from registry.oci import platforms
from registry.oci.digest import Digest
from registry.oci.foreign_layers import describe_foreign
from registry.oci.manifest import MAX_MANIFEST, Descriptor, Manifest, parse_manifest
from registry.oci.names import Reference, Tag, format_image
from registry.oci.referrers_tags import is_referrer, referrers_tag

_FOREIGN_CURE = (
    "push the image to a registry of your own with the setting `allow-nondistributable-artifacts` "
    "of dockerd, and bundle it from there"
)


class ImageWalk:
    """Finds everything that one requested image needs.

    `images` and `manifests` are what the bundle includes. `absent` are chosen platforms that the
    image was not built for. `only_platform` is the platform of an image without an index, if it was
    not chosen.
    """

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
        self.only_platform = ""

    async def go(self) -> "ImageWalk":
        """Read the image, its referrers and signatures.

        Raises:
            ImageIncomplete: a part of it is not stored, or is damaged.
            PlatformUnknown: the image has none of the chosen platforms.
            StoreError: the catalog or the disk failed.
        """
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
            self.only_platform = self._find_only_platform(inside)
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

    def _find_only_platform(self, inside: set[str]) -> str:
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
        prefix = str(subject).replace(":", "-", 1)
        for name in self._catalog.list_tags(self._repository):
            if name != prefix and not name.startswith(f"{prefix}."):
                continue
            record = self._catalog.find_tag(self._repository, Tag(name))
            # Some registries take such a tag for the digest, and answer with the image itself.
            if record is None or record.digest == subject:
                continue
            # cosign's tags belong to the subject, although their manifests do not name it.
            named = subject if Tag(name) == referrers_tag(subject) else None
            manifest = await self._read_attached(record.digest, named)
            if manifest is not None:
                image = LockedImage(self._repository, Tag(name), manifest.descriptor, is_extra=True)
                self.images.append(image)

    async def _read_attached(self, digest: Digest, subject: Digest | None) -> Manifest | None:
        """Include a stored manifest and its children; with `subject`, only what refers to it."""
        if await self._content.blobs.stat(digest) is None:
            return None
        is_known = digest in self.manifests
        manifest = await self._read_digest(digest)
        found = [await self._read_attached(child.digest, subject) for child in manifest.children]
        is_wanted = subject is None or is_referrer(manifest, subject) or any(found)
        if not is_wanted and not is_known:
            del self.manifests[digest]
        return manifest if is_wanted else None

    async def _refuse_incomplete(self) -> None:
        for manifest in self.manifests.values():
            for number, blob in enumerate(manifest.blobs):
                if number and self._choice.leaves_out(blob.digest):
                    continue
                size = await self._content.blobs.stat(blob.digest)
                if size is None and blob.is_foreign:
                    raise self._report_missing(
                        f"{describe_foreign(blob)}; a bundle cannot carry it", _FOREIGN_CURE
                    )
                if size is None:
                    raise self._report_missing(f"the blob {blob.digest} is missing")
                if size != blob.size:
                    raise self._report_missing(
                        f"the blob {blob.digest} has {size} bytes, not {blob.size}"
                    )

    def _report_missing(self, why: str = "", cure: str = "") -> ImageIncomplete:
        name = format_image(self._repository, self._request.reference)
        return ImageIncomplete(name, why, cure)

    def format_download(self) -> str:
        """Return the command that downloads what is missing of the image."""
        chosen = ["all"] if self._choice.mode == "complete" else self._platforms
        option = f" --platform {','.join(chosen)}" if chosen else ""
        name = format_image(self._repository, self._request.reference)
        return f"entrepot images warm {name}{option}"
