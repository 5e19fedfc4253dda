"""Lists of blobs that travel back across the gap: what is there, and what is still wanted. Pure.

`inventory.json` says what a mirror has, so that the next bundle leaves it out; `need.json` what an
import lacked, so that the next bundle has just that. Both are canonical JSON
(docs/bundle-format.md): `formatVersion`, `blobs` as pairs of digest and size, and a need also the
`bundleId` that was imported and the `images` that were not whole.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from registry.bundle.format.canonical_json import encode, read_text
from registry.bundle.format.lock import list_sizes, read_sizes
from registry.errors import BundleInvalid, InvalidInput
from registry.oci.digest import Digest

FORMAT = 1
MAX_SIZE = 64 * 1024 * 1024  # bytes; half a million blobs

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput)


@dataclass(frozen=True, slots=True)
class Inventory:
    """A list of blobs with their sizes in bytes, ordered; `id` is the digest of its JSON.

    `images` are the names that a need is about; those of an inventory are empty.
    """

    id: str
    blobs: tuple[tuple[Digest, int], ...]
    images: tuple[str, ...] = ()


def write_inventory(blobs: Iterable[tuple[Digest, int]]) -> bytes:
    """Return the bytes of `inventory.json`; the same for the same blobs in any order."""
    return encode({"formatVersion": FORMAT, "blobs": list_sizes(sorted(set(blobs)))})


def write_need(bundle_id: str, images: Iterable[str], blobs: Iterable[tuple[Digest, int]]) -> bytes:
    """Return the bytes of `need.json`: the blobs that `images` lack after a bundle's import."""
    return encode(
        {
            "formatVersion": FORMAT,
            "bundleId": bundle_id,
            "images": sorted(set(images)),
            "blobs": list_sizes(sorted(set(blobs))),
        }
    )


def read_inventory(raw: bytes, label: str) -> Inventory:
    """Read an inventory or a need, from whoever it comes; spaces and line ends do not matter.

    Raises:
        BundleInvalid: it is neither, or of a newer format.
    """
    if len(raw) > MAX_SIZE:
        raise BundleInvalid(label, f"{len(raw)} bytes are more than {MAX_SIZE}")
    try:
        document = json.loads(raw)
        found = document["formatVersion"]
        if found != FORMAT:
            raise BundleInvalid(
                label, f"it is of format {found!r}, and this version reads {FORMAT}"
            )
        blobs = read_sizes(document["blobs"])
        images = tuple(map(read_text, document.get("images", [])))
        identity = str(Digest.of(encode(document)))
    except _UNREADABLE as error:
        raise BundleInvalid(
            label, f"it is neither an inventory nor a need ({error!r:.200}); make it again"
        ) from error
    return Inventory(identity, blobs, images)
