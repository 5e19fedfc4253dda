"""Planning a bundle: finds the blobs of images by name, and makes the lock of the bundle."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from registry.bundle.format.lock import ImageRequest, Lock, LockedImage
from registry.bundle.write.choice import Choice
from registry.bundle.write.image_walk import ImageWalk
from registry.content.content import Content
from registry.content.manifests import ManifestStore
from registry.errors import EntrepotError, ImageIncomplete
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import format_image


@dataclass(slots=True)
class Plan:
    """A bundle that can be written.

    `failures` has the reason for each image that is not included, by its name. `absent` has the
    chosen platforms that an image was not built for, by its name. An image without an index is
    included even if it was built for another platform: `only_platform` has that platform, by its
    name.
    """

    lock: Lock
    manifests: dict[Digest, Manifest]
    failures: dict[str, str] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)
    only_platform: dict[str, str] = field(default_factory=dict)


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
        only_platform: dict[str, str] = {}
        for request in sorted(
            requests, key=lambda each: format_image(each.repository, each.reference)
        ):
            name = format_image(request.repository, request.reference)
            walk = ImageWalk(self._manifests, self._content, request, choice)
            try:
                found = await walk.go()
            except ImageIncomplete as error:
                failures[name] = f"{error}; {error.cure or self._format_cure(walk)}"
                continue
            except EntrepotError as error:
                failures[name] = str(error)
                continue
            if found.absent:
                absent[name] = found.absent
            if found.only_platform:
                only_platform[name] = found.only_platform
            images += found.images
            manifests |= found.manifests
        lock = _build_lock(choice, images, manifests)
        return Plan(lock, manifests, failures, absent, only_platform)

    def _format_cure(self, walk: ImageWalk) -> str:
        if self._is_offline:
            return "no upstream is asked (offline = true): import a bundle that contains it"
        return f"run first: {walk.format_download()}"


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
