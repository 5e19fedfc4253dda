"""Which images and layers a bundle shall contain, from the arguments of the command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.cli.images.sources import suggest_files
from registry.cli.messages import fail
from registry.cli.names import find_names
from registry.cli.session import Session
from registry.errors import BundleInvalid
from registry.image_lists.results import Entry
from registry.oci.digest import Digest
from registry.oci.image_patterns import is_pattern, parse_image
from registry.oci.names import Reference, Repository, Tag

if TYPE_CHECKING:
    from registry.bundle.format.lock import ImageRequest, Lock


@dataclass(frozen=True, slots=True)
class OtherSide:
    """Layers that the importing side has, and blobs that it is missing.

    `layers` has the fields `have`, `only` and `requires` of a `Choice`. `images` are the names of
    the images that are incomplete on the importing side. `bundles` has the locks of the bundles
    that were imported there, and `since` their file names and ids.
    """

    layers: dict[str, Any]
    images: tuple[str, ...] = ()
    bundles: "tuple[Lock, ...]" = ()
    since: tuple[tuple[str, str], ...] = ()


async def find_images(
    session: Session, names: list[str], listed: tuple[Entry, ...]
) -> "list[ImageRequest]":
    """Return the images that names, globs and lists mean, each once; globs match stored images.

    A glob without an `@` matches only tags: an image without a tag would only take space. If a glob
    matches nothing, the command ends with 1.

    Raises:
        InvalidInput: an argument is not a name.
    """
    from registry.bundle.format.lock import ImageRequest  # noqa: PLC0415

    suggest_files(names)
    found: dict[tuple[Repository, Reference], tuple[str, ...]] = {}
    for name in names:
        if is_pattern(name):
            found |= dict.fromkeys(await _find_globbed(session, name), ())
        else:  # if the image is not stored, the planner reports it
            found[parse_image(name, session.settings.registries)] = ()
    # Clients and times of pulls are left out: the same images shall give the same bundle later.
    found |= {(entry.repository, entry.reference): entry.origins for entry in listed}
    return [ImageRequest(*image, sources) for image, sources in found.items()]


async def _find_globbed(session: Session, glob: str) -> list[tuple[Repository, Reference]]:
    matched = await find_names(session, [glob])
    if "@" not in glob:
        matched = [(where, reference) for where, reference in matched if isinstance(reference, Tag)]
    if not matched:
        why = "no stored tag matches"
        fail(f"{why} {glob!r}; for stored images without a tag, write {glob + '@*'!r}", 1)
    return matched


def read_other_side(have: list[Path], since: list[Path], need: Path | None) -> OtherSide:
    """Read the documents that list the layers that the importing side has, or is missing.

    Raises:
        FileUnreadable: a document cannot be opened.
        BundleInvalid: a document is of another kind.
    """
    from registry.bundle.read.open import load_inventory, load_lock  # noqa: PLC0415

    inventories = [load_inventory(path) for path in have]
    for path, inventory in zip(have, inventories, strict=True):
        if inventory.images:
            why = "it lists what an import could not find; use it with --need"
            raise BundleInvalid(str(path), why)
    locks = [load_lock(path) for path in since]
    there = [each.blobs for each in inventories]
    there += [(*lock.blobs, *lock.omitted) for lock in locks]
    requires = [each.id for each in inventories] + [lock.bundle_id for lock in locks]
    layers = {"have": frozenset(digest for blobs in there for digest, _ in blobs)}
    names = [(path.name, lock.bundle_id) for path, lock in zip(since, locks, strict=True)]
    known: dict[str, Any] = {"bundles": tuple(locks), "since": tuple(names)}
    if need is None:
        return OtherSide(layers | {"requires": tuple(requires)}, **known)
    missing = load_inventory(need)
    if not missing.images:
        raise BundleInvalid(str(need), "it is an inventory of what is stored; use it with --have")
    only: frozenset[Digest] = frozenset(digest for digest, _ in missing.blobs)
    return OtherSide(
        layers | {"only": only, "requires": (*requires, missing.id)}, missing.images, **known
    )


def count_uncovered(other_side: OtherSide, lock: "Lock") -> int:
    """Return how many blobs of the need the bundle does not contain."""
    return len(other_side.layers.get("only", frozenset()) - lock.sizes.keys())
