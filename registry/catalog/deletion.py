"""Which tags, manifests and blobs are deleted when images are removed from repositories."""

import math
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from registry.catalog.database import Database
from registry.catalog.eviction_order import StoredBlobRecord
from registry.catalog.pins import KEPT, index_pins, is_kept
from registry.errors import ImageInUse, ImagePinned
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag, format_image

Image = tuple[Repository, Reference]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What one repository loses: tags, manifests, and blobs that are not needed afterwards.

    `blobs` has the stored blobs, including manifests, with their sizes in bytes.
    """

    repository: Repository
    tags: frozenset[Tag]
    manifests: frozenset[Digest]
    blobs: dict[Digest, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be deleted; `refused` has the name of the pin that keeps an image, by image."""

    removals: list[Deletion]
    refused: dict[Image, str]


class DeletionCatalog:
    """Plans deletions, and deletes rows; the caller deletes the files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def plan(self, images: Iterable[Image]) -> Plan:
        """Return what would be deleted if these images were removed, one after the other.

        An image is refused if a pin of its repository keeps any part of it.
        """
        wanted = list(images)
        return await self._database.survey(lambda rows: _plan(rows, wanted))

    async def check(self, removals: Iterable[Deletion]) -> None:
        """Check that no pin was put since the deletions were planned.

        Raises:
            ImagePinned: a pin of the repository keeps something that would be deleted.
        """
        asked = list(removals)
        await self._database.survey(lambda rows: _refuse_pinned(rows, asked))

    async def apply(self, removal: Deletion, unpulled_since: float = math.inf) -> None:
        """Delete the rows of tags and manifests, and the repository's permissions for the blobs.

        Raises:
            ImagePinned: a pin of the repository keeps something of it; nothing was deleted.
            ImageInUse: a client has pulled something of it after `unpulled_since` (epoch seconds);
                nothing was deleted.
        """
        await self._database.write(lambda rows: _apply(rows, removal, unpulled_since))

    async def list_unneeded(self, removals: Sequence[Deletion]) -> list[StoredBlobRecord]:
        """Return the stored blobs of applied deletions that are still not needed."""
        return await self._database.survey(lambda rows: _list_unneeded(rows, removals))


def _list_unneeded(
    rows: sqlite3.Connection, removals: Sequence[Deletion]
) -> list[StoredBlobRecord]:
    kept = _list_kept(rows)
    query = "SELECT size, used FROM blobs WHERE digest = ?"
    return [
        StoredBlobRecord(digest, *found)
        for digest in {digest: None for removal in removals for digest in removal.blobs}
        if str(digest) not in kept and not _is_needed(rows, digest)
        for found in rows.execute(query, (str(digest),))
    ]


def _plan(rows: sqlite3.Connection, images: Sequence[Image]) -> Plan:
    pins = index_pins(rows, {repository for repository, _ in images})
    wanted: dict[Repository, list[Reference]] = {}
    refused = {}
    for repository, reference in images:
        pin = pins.find(repository, *_follow(rows, repository, [reference]))
        if pin is not None:
            refused[repository, reference] = pin
        else:
            wanted.setdefault(repository, []).append(reference)
    # Read once for all images, because this query takes long.
    kept = _list_kept(rows) if wanted else set()
    gone: dict[str, frozenset[str]] = {}
    removals = []
    for repository, references in wanted.items():
        tags, manifests = _follow(rows, repository, references)
        gone[str(repository)] = manifests
        blobs = _list_freed(rows, manifests, kept, gone)
        removals.append(
            Deletion(
                repository,
                frozenset(map(Tag, tags)),
                frozenset(map(Digest.parse, manifests)),
                blobs,
            )
        )
    return Plan(removals, refused)


def _list_tags(rows: sqlite3.Connection, repository: Repository, digest: str) -> set[str]:
    query = "SELECT tag FROM tags WHERE repository = ? AND digest = ?"
    return {row[0] for row in rows.execute(query, (str(repository), digest))}


def _list_targets(
    rows: sqlite3.Connection, repository: Repository, tags: Iterable[str]
) -> list[str]:
    query = "SELECT digest FROM tags WHERE repository = ? AND tag = ?"
    return [row[0] for tag in tags for row in rows.execute(query, (str(repository), tag))]


def _follow(
    rows: sqlite3.Connection, repository: Repository, references: Iterable[Reference]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the tags and manifests that are deleted together with these references."""
    going, waiting = set(), []
    for reference in references:
        if isinstance(reference, Tag):
            going.add(reference.name)
        else:
            waiting.append(str(reference))
            going |= _list_tags(rows, repository, str(reference))
    waiting += _list_targets(rows, repository, going)
    manifests: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest in manifests or not _is_deletable(rows, repository, digest, going, manifests):
            continue
        manifests.add(digest)
        signatures = _list_signatures(rows, repository, digest)
        going |= signatures
        waiting += _list_dependents(rows, repository, digest, signatures)
    return frozenset(going), frozenset(manifests)


def _list_freed(
    rows: sqlite3.Connection,
    manifests: Collection[str],
    kept: Collection[str],
    gone: Mapping[str, Collection[str]],
) -> dict[Digest, int]:
    """Return the blobs, with sizes, that are not needed after `gone` manifests are deleted."""
    freed: dict[Digest, int] = {}
    for name in _list_blobs(rows, manifests).difference(kept):
        size = rows.execute("SELECT size FROM blobs WHERE digest = ?", (name,)).fetchone()
        if size and not _is_needed(rows, Digest.parse(name), gone):
            freed[Digest.parse(name)] = size[0]
    return freed


def _is_deletable(
    rows: sqlite3.Connection,
    repository: Repository,
    digest: str,
    tags: set[str],
    manifests: set[str],
) -> bool:
    """Whether the repository has the manifest, and no tag or index that stays leads to it."""
    here = str(repository)
    held = "SELECT 1 FROM holdings WHERE repository = ? AND digest = ?"
    named = "SELECT tag FROM tags WHERE repository = ? AND digest = ?"
    parents = (
        "SELECT parent FROM links JOIN holdings ON holdings.digest = parent"
        " WHERE repository = ? AND child = ? AND is_manifest"
    )
    return (
        rows.execute(held, (here, digest)).fetchone() is not None
        and {row[0] for row in rows.execute(named, (here, digest))} <= tags
        and {row[0] for row in rows.execute(parents, (here, digest))} <= manifests
    )


def _list_signatures(rows: sqlite3.Connection, repository: Repository, digest: str) -> set[str]:
    """Return the tags that cosign and the referrers tag scheme made for a manifest."""
    prefix = digest.replace(":", "-", 1)
    # BETWEEN uses the index; a query with only GLOB would read all tags of the repository.
    query = (
        "SELECT tag FROM tags WHERE repository = ?1 AND tag BETWEEN ?2 AND ?2 || '/'"
        " AND (tag = ?2 OR tag GLOB ?2 || '.*')"
    )
    return {row[0] for row in rows.execute(query, (str(repository), prefix))}


def _list_dependents(
    rows: sqlite3.Connection, repository: Repository, digest: str, tags: set[str]
) -> list[str]:
    """Return the children of an index, the manifests that refer to it, and its signatures."""
    children = "SELECT child FROM links WHERE parent = ? AND is_manifest"
    subjects = "SELECT digest FROM manifests WHERE subject = ?"
    found = [row[0] for query in (children, subjects) for row in rows.execute(query, (digest,))]
    signed = "SELECT digest FROM tags WHERE repository = ? AND tag = ?"
    for tag in tags:
        found += [row[0] for row in rows.execute(signed, (str(repository), tag))]
    return found


def _list_blobs(rows: sqlite3.Connection, manifests: Collection[str]) -> set[str]:
    query = "SELECT child FROM links WHERE parent = ? AND NOT is_manifest"
    found = {row[0] for each in manifests for row in rows.execute(query, (each,))}
    return found.union(manifests)


def _list_kept(rows: sqlite3.Connection) -> set[str]:
    """Return the digests that pins of any repository keep."""
    return {row[0] for row in rows.execute(f"{KEPT} SELECT digest FROM kept")}  # noqa: S608 - constants of ours


def _is_needed(
    rows: sqlite3.Connection,
    digest: Digest,
    gone: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> bool:
    """Whether a repository has this manifest, or has a manifest that refers to this blob.

    `gone` has manifests that are ignored, by repository.
    """
    query = (
        "SELECT repository, digest FROM holdings WHERE digest = ?1"
        " UNION ALL SELECT repository, parent FROM links JOIN holdings"
        " ON holdings.digest = parent WHERE child = ?1"
    )
    return any(
        holder not in gone.get(repository, ())
        for repository, holder in rows.execute(query, (str(digest),))
    )


def _refuse_pinned(rows: sqlite3.Connection, removals: Sequence[Deletion]) -> None:
    pins = index_pins(rows, {removal.repository for removal in removals})
    for removal in removals:
        tags, manifests = (tag.name for tag in removal.tags), map(str, removal.manifests)
        pin = pins.find(removal.repository, tags, manifests)
        if pin is not None:
            raise ImagePinned(pin)


def _refuse_pulled(rows: sqlite3.Connection, removal: Deletion, since: float) -> None:
    query = "SELECT 1 FROM pulls WHERE digest = ? AND repository = ? AND pulled > ? LIMIT 1"
    for digest in removal.manifests:
        if rows.execute(query, (str(digest), str(removal.repository), since)).fetchone():
            raise ImageInUse(format_image(removal.repository, digest))


def _apply(rows: sqlite3.Connection, removal: Deletion, unpulled_since: float) -> None:
    _refuse_pinned(rows, [removal])
    _refuse_pulled(rows, removal, unpulled_since)
    here = str(removal.repository)
    tags = [(here, tag.name) for tag in removal.tags]
    rows.executemany("DELETE FROM tags WHERE repository = ? AND tag = ?", tags)
    manifests = [(here, str(digest)) for digest in removal.manifests]
    for table in ("holdings", "pulls"):
        query = f"DELETE FROM {table} WHERE repository = ? AND digest = ?"  # noqa: S608 - the table is a constant
        rows.executemany(query, manifests)
    grants = [(here, str(digest)) for digest in removal.blobs]
    rows.executemany("DELETE FROM grants WHERE repository = ? AND digest = ?", grants)
    for _, digest in manifests:
        is_held = rows.execute("SELECT 1 FROM holdings WHERE digest = ?", (digest,)).fetchone()
        # A pinned index of another repository may list this manifest, and then keeps its layers.
        if is_held is None and not is_kept(rows, Digest.parse(digest)):
            rows.execute("DELETE FROM manifests WHERE digest = ?", (digest,))
            rows.execute("DELETE FROM links WHERE parent = ?", (digest,))
