"""Removing images from a repository: what goes with them, and what nothing refers to then."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from registry.catalog.database import Database
from registry.catalog.pins import KEPT, index_pins, is_kept
from registry.errors import ImagePinned
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag

Image = tuple[Repository, Reference]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What goes: names, manifests of the repository, and blobs that no manifest needs any more.

    `blobs` has the sizes in bytes of those that are stored, the manifests themselves among them.
    """

    repository: Repository
    tags: frozenset[Tag]
    manifests: frozenset[Digest]
    blobs: dict[Digest, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What removing some images would remove; `refused` are those that a pin keeps, by its name."""

    removals: list[Deletion]
    refused: dict[Image, str]


class DeletionCatalog:
    """Plans and carries out removals; the files are others' to delete."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def plan(self, images: Iterable[Image]) -> Plan:
        """Say what removing all these images one after the other would remove.

        Whatever a pin of its repository keeps any of is refused, and the others are planned.
        """
        wanted = list(images)
        return await self._database.survey(lambda rows: _plan(rows, wanted))

    async def check(self, removals: Iterable[Deletion]) -> None:
        """Look whether the removals may still be applied.

        Raises:
            ImagePinned: a pin of its repository keeps any of them.
        """
        asked = list(removals)
        await self._database.survey(lambda rows: _refuse_pinned(rows, asked))

    async def apply(self, removal: Deletion) -> None:
        """Forget all that `removal` names; a blob that has become needed since is kept.

        Raises:
            ImagePinned: a pin of its repository keeps any of it; nothing was forgotten.
        """
        await self._database.write(lambda rows: _apply(rows, removal))

    async def list_unneeded(self, removals: Sequence[Deletion]) -> dict[Digest, int]:
        """Return the blobs of applied removals that still nothing refers to, with their sizes."""
        return await self._database.survey(lambda rows: _list_unneeded(rows, removals))


def _list_unneeded(rows: sqlite3.Connection, removals: Sequence[Deletion]) -> dict[Digest, int]:
    kept = _list_kept(rows)
    return {
        digest: size
        for removal in removals
        for digest, size in removal.blobs.items()
        if str(digest) not in kept and not _is_needed(rows, digest)
    }


def _plan(rows: sqlite3.Connection, images: Sequence[Image]) -> Plan:
    pins = index_pins(rows, {repository for repository, _ in images})
    wanted: dict[Repository, list[Reference]] = {}
    refused = {}
    for repository, reference in images:
        pin = pins.find(repository, *_spread(rows, repository, [reference]))
        if pin is not None:
            refused[repository, reference] = pin
        else:
            wanted.setdefault(repository, []).append(reference)
    # Once for all: what pins keep is the same whatever is removed, and takes a walk to find out.
    kept = _list_kept(rows) if wanted else set()
    gone: dict[str, frozenset[str]] = {}
    removals = []
    for repository, references in wanted.items():
        tags, manifests = _spread(rows, repository, references)
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


def _list_roots(rows: sqlite3.Connection, repository: Repository, tags: Iterable[str]) -> list[str]:
    query = "SELECT digest FROM tags WHERE repository = ? AND tag = ?"
    return [row[0] for tag in tags for row in rows.execute(query, (str(repository), tag))]


def _spread(
    rows: sqlite3.Connection, repository: Repository, references: Iterable[Reference]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the tags and the manifests that go from a repository with these."""
    going, waiting = set(), []
    for reference in references:
        if isinstance(reference, Tag):
            going.add(reference.name)
        else:
            waiting.append(str(reference))
            going |= _list_tags(rows, repository, str(reference))
    waiting += _list_roots(rows, repository, going)
    manifests: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest in manifests or not _may_go(rows, repository, digest, going, manifests):
            continue
        manifests.add(digest)
        signatures = _list_signatures(rows, repository, digest)
        going |= signatures
        waiting += _list_followers(rows, repository, digest, signatures)
    return frozenset(going), frozenset(manifests)


def _list_freed(
    rows: sqlite3.Connection,
    manifests: Collection[str],
    kept: Collection[str],
    gone: Mapping[str, Collection[str]],
) -> dict[Digest, int]:
    """Return the blobs, with their sizes, that nothing needs without the manifests in `gone`."""
    freed: dict[Digest, int] = {}
    for name in _list_blobs(rows, manifests).difference(kept):
        size = rows.execute("SELECT size FROM blobs WHERE digest = ?", (name,)).fetchone()
        if size and not _is_needed(rows, Digest.parse(name), gone):
            freed[Digest.parse(name)] = size[0]
    return freed


def _may_go(
    rows: sqlite3.Connection,
    repository: Repository,
    digest: str,
    tags: set[str],
    manifests: set[str],
) -> bool:
    """Whether the repository has it, and no tag and no index that stays there leads to it."""
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
    """Return the tags by which cosign and the tag scheme of referrers name what belongs to it."""
    prefix = digest.replace(":", "-", 1)
    # Between, as a GLOB alone would look at every tag of the repository.
    query = (
        "SELECT tag FROM tags WHERE repository = ?1 AND tag BETWEEN ?2 AND ?2 || '/'"
        " AND (tag = ?2 OR tag GLOB ?2 || '.*')"
    )
    return {row[0] for row in rows.execute(query, (str(repository), prefix))}


def _list_followers(
    rows: sqlite3.Connection, repository: Repository, digest: str, tags: set[str]
) -> list[str]:
    """Return the manifests of an index, those whose subject it is, and those of its signatures."""
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
    """Return what pins keep, whoever made them."""
    return {row[0] for row in rows.execute(f"{KEPT} SELECT digest FROM kept")}  # noqa: S608


def _is_needed(
    rows: sqlite3.Connection,
    digest: Digest,
    gone: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> bool:
    """Whether a repository has it, or a manifest that a repository has refers to it.

    `gone` are manifests, by repository, that do not count.
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


def _apply(rows: sqlite3.Connection, removal: Deletion) -> None:
    _refuse_pinned(rows, [removal])
    here = str(removal.repository)
    tags = [(here, tag.name) for tag in removal.tags]
    rows.executemany("DELETE FROM tags WHERE repository = ? AND tag = ?", tags)
    manifests = [(here, str(digest)) for digest in removal.manifests]
    for table in ("holdings", "pulls"):
        query = f"DELETE FROM {table} WHERE repository = ? AND digest = ?"  # noqa: S608
        rows.executemany(query, manifests)
    grants = [(here, str(digest)) for digest in removal.blobs]
    rows.executemany("DELETE FROM grants WHERE repository = ? AND digest = ?", grants)
    for _, digest in manifests:
        is_held = rows.execute("SELECT 1 FROM holdings WHERE digest = ?", (digest,)).fetchone()
        # A pinned index of another repository may lead to it, and by it to layers that are kept.
        if is_held is None and not is_kept(rows, Digest.parse(digest)):
            rows.execute("DELETE FROM manifests WHERE digest = ?", (digest,))
            rows.execute("DELETE FROM links WHERE parent = ?", (digest,))
