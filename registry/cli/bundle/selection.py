"""What people ask to have in a bundle: names, globs, lists, and what the other side has."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.cli.names import find_names
from registry.cli.session import Session
from registry.errors import BundleInvalid, NameUnknown
from registry.image_lists.results import Entry
from registry.oci.digest import Digest
from registry.oci.image_patterns import is_pattern, parse_image
from registry.oci.names import Reference, Repository, Tag

if TYPE_CHECKING:
    from registry.bundle.format.lock import ImageRequest, Lock


@dataclass(frozen=True, slots=True)
class Gaps:
    """What the other side has and lacks: `facts` are the fields of a Choice; `images` lack some."""

    facts: dict[str, Any]
    images: tuple[str, ...]


async def find_wants(
    session: Session, names: list[str], listed: tuple[Entry, ...]
) -> "list[ImageRequest]":
    """Return the images that are meant, each once; globs mean what is here.

    What no tag leads to any more is meant only by a glob with an `@`: it would travel for nothing.

    Raises:
        InvalidInput: not a name.
        NameUnknown: a glob means nothing that is here.
    """
    from registry.bundle.format.lock import ImageRequest  # noqa: PLC0415

    found: dict[tuple[Repository, Reference], tuple[str, ...]] = {}
    for name in names:
        if is_pattern(name):
            found |= dict.fromkeys(await _find_globbed(session, name), ())
        else:  # where it is not here, the plan says so and goes on
            found[parse_image(name, session.settings.default_upstream)] = ()
    # Not who pulled an image and when: the same images shall be the same bundle tomorrow.
    found |= {(entry.repository, entry.reference): entry.origins for entry in listed}
    return [ImageRequest(*image, sources) for image, sources in found.items()]


async def _find_globbed(session: Session, glob: str) -> list[tuple[Repository, Reference]]:
    meant = await find_names(session, [glob])
    if "@" not in glob:
        meant = [(where, reference) for where, reference in meant if isinstance(reference, Tag)]
    if not meant:
        raise NameUnknown(f"a tag for {glob}")
    return meant


def read_gaps(have: list[Path], since: list[Path], need: Path | None) -> Gaps:
    """Read what says which layers the other side has, or lacks.

    Raises:
        BundleInvalid: one of them is not what it should be.
        OSError: one of them cannot be read.
    """
    from registry.bundle.read.open import load_inventory, load_lock  # noqa: PLC0415

    inventories = [load_inventory(path) for path in have]
    for path, inventory in zip(have, inventories, strict=True):
        if inventory.images:
            raise BundleInvalid(str(path), "it is what an import lacked; use it with --need")
    locks = [load_lock(path) for path in since]
    there = [each.blobs for each in inventories]
    there += [(*lock.blobs, *lock.omitted) for lock in locks]
    requires = [each.id for each in inventories] + [lock.bundle_id for lock in locks]
    facts = {"have": frozenset(digest for blobs in there for digest, _ in blobs)}
    if need is None:
        return Gaps(facts | {"requires": tuple(requires)}, ())
    gap = load_inventory(need)
    if not gap.images:
        raise BundleInvalid(str(need), "it is no need but an inventory; use it with --have")
    only: frozenset[Digest] = frozenset(digest for digest, _ in gap.blobs)
    return Gaps(facts | {"only": only, "requires": (*requires, gap.id)}, gap.images)


def count_unmet(gaps: Gaps, lock: "Lock") -> int:
    """Return how many blobs that the other side lacks are in none of the bundle's images."""
    return len(gaps.facts.get("only", frozenset()) - lock.sizes.keys())
