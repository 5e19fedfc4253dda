"""Two lists of blobs that people carry back to the maker of a bundle: inventory and need. Pure.

`inventory.json` lists the blobs that a mirror has, so that the next bundle omits them. `need.json`
lists the blobs that were missing after an import, so that the next bundle has only them. Both are
canonical JSON (docs/bundle-format.md): `formatVersion`, and `blobs` as pairs of digest and size. A
need also has the `bundleId` that was imported and the names of the incomplete `images`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from registry.bundle.format.canonical_json import encode, read_texts
from registry.bundle.format.lock import list_blobs, read_blobs
from registry.errors import BundleInvalid, InvalidInput
from registry.oci.digest import Digest

FORMAT = 1
MAX_SIZE = 64 * 1024 * 1024  # bytes; half a million blobs

_OTHER_KIND = "it is the bundle.json of a bundle; use it with --since"
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput)


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory or a need: sorted pairs of a blob and its size in bytes.

    `id` is the digest of its JSON. `images` are the names of the incomplete images in a need; in an
    inventory they are empty.
    """

    id: str
    blobs: tuple[tuple[Digest, int], ...]
    images: tuple[str, ...] = ()


def write_inventory(blobs: Iterable[tuple[Digest, int]]) -> bytes:
    """Return the bytes of `inventory.json`; they do not depend on the order of `blobs`."""
    return encode({"formatVersion": FORMAT, "blobs": list_blobs(sorted(set(blobs)))})


def write_need(bundle_id: str, images: Iterable[str], blobs: Iterable[tuple[Digest, int]]) -> bytes:
    """Return the bytes of `need.json`: the blobs that `images` still need after an import."""
    return encode(
        {
            "formatVersion": FORMAT,
            "bundleId": bundle_id,
            "images": sorted(set(images)),
            "blobs": list_blobs(sorted(set(blobs))),
        }
    )


def read_inventory(raw: bytes, label: str) -> Inventory:
    """Read and check an inventory or a need; its JSON may be formatted in any way.

    Raises:
        BundleInvalid: the bytes are neither of the two, or have a newer format.
    """
    if len(raw) > MAX_SIZE:
        raise BundleInvalid(label, f"{len(raw)} bytes are more than {MAX_SIZE}")
    try:
        document = json.loads(raw)
        found = document["formatVersion"]
        if found != FORMAT:
            raise BundleInvalid(
                label, f"it has format {found!r}, and this version reads format {FORMAT}"
            )
        if "mode" in document:
            raise BundleInvalid(label, _OTHER_KIND)
        blobs = read_blobs(document["blobs"])
        images = read_texts(document.get("images", []))
        identity = str(Digest.of(encode(document)))
    except _UNREADABLE as error:
        raise BundleInvalid(
            label,
            "it is neither an inventory.json nor a need.json; write one with: entrepot images ls"
            " --inventory, or name a bundle with --since",
        ) from error
    return Inventory(identity, blobs, images)


def name_option(raw: bytes) -> str:
    """Return the option of `bundle create` that takes this document.

    It is `--have` for an inventory, `--need` for a need.json, and empty for any other document.
    """
    try:
        keys = frozenset(json.loads(raw))
    except _UNREADABLE:
        return ""
    if "mode" in keys or "blobs" not in keys:
        return ""
    return "--need" if "images" in keys else "--have"
