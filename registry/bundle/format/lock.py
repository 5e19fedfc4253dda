"""`bundle.json`: what a bundle contains, each blob by its digest (docs/bundle-format.md)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from registry.bundle.format.canonical_json import encode_with_digest, read_sizes, read_texts
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

FORMAT = 1  # raised when an earlier version could no longer read what this version writes
MAX_MANIFESTS = 64 * 1024 * 1024  # bytes of all manifests together, which are kept in memory
MAX_LOCK = 16 * 1024 * 1024  # bytes; a hundred thousand blobs take half of it

_SPLIT = "make several bundles of fewer images"
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput)
Mode = Literal["subset", "complete", "flat"]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image for a bundle; `sources` are the places that name it, such as `compose.yaml:12`."""

    repository: Repository
    reference: Reference
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class LockedImage:
    """One image by one name, and the parts of it that are in the bundle.

    `root` is the manifest or index that the name refers to. `platforms` are those whose manifests
    are in the bundle, `missing` those that only the index lists. `referrers` are manifests about
    the image (signatures, SBOMs). `sources` are the places that named the image. `is_extra` says
    whether the name is a tag by which clients look for signatures.
    """

    repository: Repository
    reference: Reference
    root: Descriptor
    platforms: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    referrers: tuple[Descriptor, ...] = ()
    sources: tuple[str, ...] = ()
    is_extra: bool = False

    @cached_property
    def name(self) -> str:
        """The image as people write it."""
        return format_image(self.repository, self.reference)


@dataclass(frozen=True)
class Lock:
    """The content of a bundle: its images, and its blobs in the order of the file.

    `manifests` are the media types of those blobs that are manifests. `omitted` are blobs that the
    images need and that the bundle leaves out, because documents say that the other side has them;
    `requires` has the ids of these documents.
    """

    mode: Mode
    images: tuple[LockedImage, ...]
    manifests: Mapping[Digest, str]
    blobs: tuple[tuple[Digest, int], ...]
    omitted: tuple[tuple[Digest, int], ...] = ()
    requires: tuple[str, ...] = ()

    @cached_property
    def raw(self) -> bytes:
        """The bytes of `bundle.json`; equal locks have equal bytes."""
        return self._encoded[1]

    @cached_property
    def bundle_id(self) -> str:
        """The digest of the canonical JSON of everything but the id itself."""
        return self._encoded[0]

    @cached_property
    def _encoded(self) -> tuple[str, bytes]:
        return encode_with_digest("bundleId", _describe(self))

    @cached_property
    def sizes(self) -> dict[Digest, int]:
        """The size in bytes of each blob in the bundle."""
        return dict(self.blobs)

    @cached_property
    def size(self) -> int:
        """The size in bytes of all blobs in the bundle together."""
        return sum(size for _, size in self.blobs)


def _describe(lock: Lock) -> dict[str, Any]:
    return {
        "formatVersion": FORMAT,
        "mode": lock.mode,
        "images": [_describe_image(image) for image in lock.images],
        "manifests": {str(digest): kind for digest, kind in lock.manifests.items()},
        "blobs": list_blobs(lock.blobs),
        "omitted": list_blobs(lock.omitted),
        "requires": list(lock.requires),
    }


def list_blobs(blobs: Iterable[tuple[Digest, int]]) -> list[list[str | int]]:
    """Return pairs of digest and size in the form that they have in the JSON of bundles."""
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
    """Return the JSON object of a descriptor (image-spec, descriptor.md)."""
    return {"mediaType": each.media_type, "digest": str(each.digest), "size": each.size}


def parse_lock(raw: bytes) -> Lock:
    """Parse and check `bundle.json`.

    Raises:
        BundleInvalid: it is not a lock, has a newer format, contradicts itself, or its id is not
            the digest of its content.
    """
    if len(raw) > MAX_LOCK:
        raise BundleInvalid("bundle.json", f"{len(raw)} bytes are more than {MAX_LOCK}")
    try:
        document = json.loads(raw)
        found = document["formatVersion"]
        if found != FORMAT:
            raise BundleInvalid(
                "bundle.json", f"it has format {found!r}, and this version reads format {FORMAT}"
            )
        lock = _read(document)
        _check_consistency(lock)
        is_right = lock.raw == raw
    except _UNREADABLE as error:
        raise BundleInvalid("bundle.json", f"it cannot be read ({error!r:.200})") from error
    if not is_right:
        raise BundleInvalid("bundle.json", "its content does not agree with its bundleId")
    return lock


def _check_consistency(lock: Lock) -> None:
    """Refuse a lock whose images have a wrong digest, or manifests that the lock does not list."""
    if len({image.name for image in lock.images}) != len(lock.images):
        raise ValueError("two images have the same name")
    for image in lock.images:
        if isinstance(image.reference, Digest) and image.reference != image.root.digest:
            raise ValueError(f"{image.name} has the root {image.root.digest}")
    named = {each.digest for image in lock.images for each in (image.root, *image.referrers)}
    if missing := sorted(map(str, named - lock.manifests.keys())):
        raise ValueError(f"an image refers to {missing[0]}, which is not listed as a manifest")
    if missing := sorted(map(str, lock.manifests.keys() - lock.sizes.keys())):
        raise ValueError(f"the manifest {missing[0]} is not listed as a blob")


def _read(document: Mapping[str, Any]) -> Lock:
    mode = document["mode"]
    if mode not in get_args(Mode):
        raise ValueError(f"mode {mode!r}")
    kinds = read_texts([*document["manifests"].values()])
    return Lock(
        mode=mode,
        images=tuple(map(_read_image, document["images"])),
        manifests=dict(zip(map(Digest.parse, document["manifests"]), kinds, strict=True)),
        blobs=read_blobs(document["blobs"]),
        omitted=read_blobs(document["omitted"]),
        requires=read_texts(document["requires"]),
    )


def _read_image(fields: Mapping[str, Any]) -> LockedImage:
    repository, reference = read_texts([fields["repository"], fields["reference"]])
    return LockedImage(
        repository=parse_repository(repository),
        reference=parse_reference(reference),
        root=_read_descriptor(fields["root"]),
        platforms=read_texts(fields["platforms"]),
        missing=read_texts(fields["missing"]),
        referrers=tuple(map(_read_descriptor, fields["referrers"])),
        sources=read_texts(fields["sources"]),
        is_extra=fields["extra"] is True,
    )


def _read_descriptor(fields: Mapping[str, Any]) -> Descriptor:
    (size,) = read_sizes([fields["size"]])
    kind, digest = read_texts([fields["mediaType"], fields["digest"]])
    return Descriptor(kind, Digest.parse(digest), size)


def read_blobs(pairs: Sequence[Any]) -> tuple[tuple[Digest, int], ...]:
    """Read pairs of digest and size in the form that `list_blobs` returns.

    Raises:
        ValueError, TypeError, DigestInvalid: they have another form, or list a blob twice.
    """
    digests = [Digest.parse(digest) for digest, _ in pairs]
    found = tuple(zip(digests, read_sizes([size for _, size in pairs]), strict=True))
    if len(dict(found)) != len(found):
        raise ValueError("a blob is listed twice")
    return found


def check_limits(lock: Lock) -> None:
    """Refuse a lock that, with its manifests, would fill the memory of the program that reads it.

    Raises:
        BundleInvalid: the lock, one manifest, or all manifests together exceed the limits.
    """
    if len(lock.raw) > MAX_LOCK:
        raise BundleInvalid("bundle.json", f"it has more than {MAX_LOCK} bytes; {_SPLIT}")
    sizes = [lock.sizes.get(digest, 0) for digest in lock.manifests]
    if max(sizes, default=0) > MAX_MANIFEST:
        raise BundleInvalid("bundle.json", f"it lists a manifest of more than {MAX_MANIFEST} bytes")
    if sum(sizes) > MAX_MANIFESTS:
        raise BundleInvalid(
            "bundle.json", f"its manifests have more than {MAX_MANIFESTS} bytes; {_SPLIT}"
        )
