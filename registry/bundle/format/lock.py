"""`bundle.json`: what a bundle holds, down to the digest (docs/bundle-format.md)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from registry.bundle.format.canonical_json import identify, read_size, read_text, stamp
from registry.errors import BundleInvalid, InvalidInput
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor
from registry.oci.names import (
    Reference,
    Repository,
    format_image,
    parse_reference,
    parse_repository,
)

FORMAT = 1  # raised when a former version could no longer read what this one writes
MAX_MANIFESTS = 64 * 1024 * 1024  # bytes of all manifests together, which are kept in memory
MAX_LOCK = 16 * 1024 * 1024  # bytes; a hundred thousand blobs take half of it

_SPLIT = "make several bundles of fewer images"
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput)
Mode = Literal["subset", "complete", "flat"]


@dataclass(frozen=True, slots=True)
class LockedImage:
    """One image by one name, and what of it is inside.

    `root` is what the name leads to; `platforms` are those that are inside, `missing` those that
    only an index speaks of. `referrers` are manifests about it (signatures, SBOMs). `sources` say
    where the image was asked for. An extra is a tag by which clients look for signatures.
    """

    repository: Repository
    reference: Reference
    root: Descriptor
    platforms: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    referrers: tuple[Descriptor, ...] = ()
    sources: tuple[str, ...] = ()
    is_extra: bool = False

    @property
    def name(self) -> str:
        """The image as people write it."""
        return format_image(self.repository, self.reference)


@dataclass(frozen=True)
class Lock:
    """The whole of a bundle: its images, and its blobs in the order of the file.

    `manifests` are the media types of those blobs that are manifests. `omitted` are blobs that the
    images need and the bundle leaves out, as the other side is said to have them: by the documents
    whose ids `requires` has.
    """

    mode: Mode
    images: tuple[LockedImage, ...]
    manifests: Mapping[Digest, str]
    blobs: tuple[tuple[Digest, int], ...]
    omitted: tuple[tuple[Digest, int], ...] = ()
    requires: tuple[str, ...] = ()

    @cached_property
    def raw(self) -> bytes:
        """The bytes of `bundle.json`; the same for the same content."""
        return stamp("bundleId", _describe(self))

    @cached_property
    def bundle_id(self) -> str:
        """The digest of everything but the id itself, as canonical JSON."""
        return identify(_describe(self))

    @cached_property
    def sizes(self) -> dict[Digest, int]:
        """The size in bytes of each blob inside."""
        return dict(self.blobs)

    @property
    def size(self) -> int:
        """The bytes of all blobs inside together."""
        return sum(size for _, size in self.blobs)


def _describe(lock: Lock) -> dict[str, Any]:
    return {
        "formatVersion": FORMAT,
        "mode": lock.mode,
        "images": [_describe_image(image) for image in lock.images],
        "manifests": {str(digest): kind for digest, kind in lock.manifests.items()},
        "blobs": list_sizes(lock.blobs),
        "omitted": list_sizes(lock.omitted),
        "requires": list(lock.requires),
    }


def list_sizes(blobs: Iterable[tuple[Digest, int]]) -> list[list[str | int]]:
    """Return digests and sizes as JSON has them here."""
    return [[str(digest), size] for digest, size in blobs]


def _describe_image(image: LockedImage) -> dict[str, Any]:
    return {
        "repository": str(image.repository),
        "reference": str(image.reference),
        "root": describe_descriptor(image.root),
        "platforms": list(image.platforms),
        "missing": list(image.missing),
        "referrers": [describe_descriptor(each) for each in image.referrers],
        "sources": list(image.sources),
        "extra": image.is_extra,
    }


def describe_descriptor(each: Descriptor) -> dict[str, Any]:
    """Return a descriptor as JSON has it (image-spec, descriptor.md)."""
    return {"mediaType": each.media_type, "digest": str(each.digest), "size": each.size}


def parse_lock(raw: bytes) -> Lock:
    """Read `bundle.json`, from whoever it comes.

    Raises:
        BundleInvalid: it is not one, is of a newer format, contradicts itself, or is not the one
            that its id names.
    """
    if len(raw) > MAX_LOCK:
        raise BundleInvalid("bundle.json", f"{len(raw)} bytes are more than {MAX_LOCK}")
    try:
        document = json.loads(raw)
        found = document["formatVersion"]
        if found != FORMAT:
            raise BundleInvalid(
                "bundle.json", f"it is of format {found!r}, and this version reads {FORMAT}"
            )
        lock = _read(document)
        _refuse_gaps(lock)
        is_right = lock.raw == raw
    except _UNREADABLE as error:
        raise BundleInvalid("bundle.json", f"it cannot be read ({error!r:.200})") from error
    if not is_right:
        raise BundleInvalid("bundle.json", "it is not as its bundleId says")
    return lock


def _refuse_gaps(lock: Lock) -> None:
    """Refuse a lock that names manifests which it has not, or one thing for another."""
    if len({image.name for image in lock.images}) != len(lock.images):
        raise ValueError("an image is named twice")
    for image in lock.images:
        if isinstance(image.reference, Digest) and image.reference != image.root.digest:
            raise ValueError(f"{image.name} is said to be {image.root.digest}")
    named = {each.digest for image in lock.images for each in (image.root, *image.referrers)}
    if lacking := sorted(map(str, named - lock.manifests.keys())):
        raise ValueError(f"{lacking[0]} is named and is no manifest")
    if lacking := sorted(map(str, lock.manifests.keys() - lock.sizes.keys())):
        raise ValueError(f"the manifest {lacking[0]} is not inside")


def _read(document: Mapping[str, Any]) -> Lock:
    mode = document["mode"]
    if mode not in get_args(Mode):
        raise ValueError(f"mode {mode!r}")
    return Lock(
        mode=mode,
        images=tuple(map(_read_image, document["images"])),
        manifests={
            Digest.parse(digest): read_text(kind) for digest, kind in document["manifests"].items()
        },
        blobs=read_sizes(document["blobs"]),
        omitted=read_sizes(document["omitted"]),
        requires=tuple(map(read_text, document["requires"])),
    )


def _read_image(fields: Mapping[str, Any]) -> LockedImage:
    return LockedImage(
        repository=parse_repository(read_text(fields["repository"])),
        reference=parse_reference(read_text(fields["reference"])),
        root=_read_descriptor(fields["root"]),
        platforms=tuple(map(read_text, fields["platforms"])),
        missing=tuple(map(read_text, fields["missing"])),
        referrers=tuple(map(_read_descriptor, fields["referrers"])),
        sources=tuple(map(read_text, fields["sources"])),
        is_extra=fields["extra"] is True,
    )


def _read_descriptor(fields: Mapping[str, Any]) -> Descriptor:
    digest, size = Digest.parse(read_text(fields["digest"])), read_size(fields["size"])
    return Descriptor(read_text(fields["mediaType"]), digest, size)


def read_sizes(pairs: Sequence[Any]) -> tuple[tuple[Digest, int], ...]:
    """Read what `list_sizes` makes.

    Raises:
        ValueError, TypeError, DigestInvalid: it is anything else, or names a blob twice.
    """
    read = tuple((Digest.parse(read_text(digest)), read_size(size)) for digest, size in pairs)
    if len(dict(read)) != len(read):
        raise ValueError("a blob is named twice")
    return read


def refuse_bomb(lock: Lock) -> None:
    """Refuse a lock that, or whose manifests, would fill the memory of who reads it.

    Raises:
        BundleInvalid: it, a manifest, or all of them together are larger than a bundle's may be.
    """
    if len(lock.raw) > MAX_LOCK:
        raise BundleInvalid("bundle.json", f"it has more than {MAX_LOCK} bytes; {_SPLIT}")
    sizes = [lock.sizes.get(digest, 0) for digest in lock.manifests]
    if max(sizes, default=0) > MAX_MANIFEST:
        raise BundleInvalid(
            "bundle.json", f"a manifest of more than {MAX_MANIFEST} bytes is listed"
        )
    if sum(sizes) > MAX_MANIFESTS:
        raise BundleInvalid(
            "bundle.json", f"its manifests have more than {MAX_MANIFESTS} bytes; {_SPLIT}"
        )
