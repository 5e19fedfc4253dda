"""Removing images from a repository: what goes with them, and what nothing refers to then."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from registry.catalog.database import Database
from registry.catalog.pins import KEPT
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes: names, manifests of the repository, and blobs that no manifest needs any more.

    `blobs` has the sizes in bytes of those that are stored, the manifests themselves among them.
    """

    repository: Repository
    tags: frozenset[Tag]
    manifests: frozenset[Digest]
    blobs: dict[Digest, int]


class RemovalCatalog:
    """Plans and carries out removals; the files are others' to delete."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def plan(self, repository: Repository, tags: Iterable[Tag]) -> Removal:
        """Say what removing these tags would remove."""
        wanted = {repository: list(tags)}
        return (await self._database.survey(lambda rows: _plan_all(rows, wanted)))[0]

    async def plan_manifest(self, repository: Repository, digest: Digest) -> Removal:
        """Say what removing a manifest and every tag that leads to it would remove."""
        return await self._database.survey(lambda rows: _plan_manifest(rows, repository, digest))

    async def plan_all(self, images: Iterable[tuple[Repository, Reference]]) -> list[Removal]:
        """Say what removing all these images one after the other would remove."""
        wanted: dict[Repository, list[Reference]] = {}
        for repository, reference in images:
            wanted.setdefault(repository, []).append(reference)
        return await self._database.survey(lambda rows: _plan_all(rows, wanted))

    async def apply(self, removal: Removal) -> None:
        """Forget all that `removal` names; a blob that has become needed since is kept."""
        await self._database.write(lambda rows: _apply(rows, removal))

    async def list_unneeded(self, removal: Removal) -> list[Digest]:
        """Return the blobs of an applied removal that still nothing refers to."""
        return await self._database.survey(lambda rows: _list_unneeded(rows, removal))


def _list_unneeded(rows: sqlite3.Connection, removal: Removal) -> list[Digest]:
    kept = _list_kept(rows)
    return [
        digest
        for digest in removal.blobs
        if str(digest) not in kept and not _is_needed(rows, digest)
    ]


def _plan_all(
    rows: sqlite3.Connection, wanted: Mapping[Repository, Sequence[Reference]]
) -> list[Removal]:
    gone: dict[str, set[str]] = {}
    removals = []
    for repository, references in wanted.items():
        tags = {each.name for each in references if isinstance(each, Tag)}
        roots = [str(each) for each in references if isinstance(each, Digest)]
        for digest in roots:
            tags |= _list_tags(rows, repository, digest)
        roots += _list_roots(rows, repository, tags)
        removals.append(_plan(rows, repository, tags, roots, gone=gone))
    return removals


def _list_tags(rows: sqlite3.Connection, repository: Repository, digest: str) -> set[str]:
    query = "SELECT tag FROM tags WHERE repository = ? AND digest = ?"
    return {row[0] for row in rows.execute(query, (str(repository), digest))}


def _list_roots(rows: sqlite3.Connection, repository: Repository, tags: Iterable[str]) -> list[str]:
    query = "SELECT digest FROM tags WHERE repository = ? AND tag = ?"
    return [row[0] for tag in tags for row in rows.execute(query, (str(repository), tag))]


def _plan_manifest(rows: sqlite3.Connection, repository: Repository, digest: Digest) -> Removal:
    return _plan_all(rows, {repository: [digest]})[0]


def _plan(
    rows: sqlite3.Connection,
    repository: Repository,
    tags: Iterable[str],
    roots: Iterable[str],
    *,
    gone: dict[str, set[str]],
) -> Removal:
    """Plan one repository's removal, `gone` being what others have lost before; it is added to."""
    going = set(tags)
    manifests: set[str] = set()
    waiting = list(roots)
    while waiting:
        digest = waiting.pop()
        if digest in manifests or not _may_go(rows, repository, digest, going, manifests):
            continue
        manifests.add(digest)
        going |= _list_signatures(rows, repository, digest)
        waiting += _list_followers(rows, repository, digest, going)
    gone[str(repository)] = manifests
    freed: dict[Digest, int] = {}
    for name in _list_blobs(rows, manifests) - _list_kept(rows):
        size = rows.execute("SELECT size FROM blobs WHERE digest = ?", (name,)).fetchone()
        if size and not _is_needed(rows, Digest.parse(name), gone):
            freed[Digest.parse(name)] = size[0]
    return Removal(
        repository, frozenset(map(Tag, going)), frozenset(map(Digest.parse, manifests)), freed
    )


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
    query = "SELECT tag FROM tags WHERE repository = ? AND (tag = ? OR tag GLOB ?)"
    return {row[0] for row in rows.execute(query, (str(repository), prefix, f"{prefix}.*"))}


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


def _list_blobs(rows: sqlite3.Connection, manifests: set[str]) -> set[str]:
    query = "SELECT child FROM links WHERE parent = ? AND NOT is_manifest"
    return manifests | {row[0] for each in manifests for row in rows.execute(query, (each,))}


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


def _apply(rows: sqlite3.Connection, removal: Removal) -> None:
    here = str(removal.repository)
    tags = [(here, tag.name) for tag in removal.tags]
    rows.executemany("DELETE FROM tags WHERE repository = ? AND tag = ?", tags)
    manifests = [(here, str(digest)) for digest in removal.manifests]
    for table in ("holdings", "pulls", "clients"):
        query = f"DELETE FROM {table} WHERE repository = ? AND digest = ?"  # noqa: S608
        rows.executemany(query, manifests)
    grants = [(here, str(digest)) for digest in removal.blobs]
    rows.executemany("DELETE FROM grants WHERE repository = ? AND digest = ?", grants)
    for _, digest in manifests:
        if rows.execute("SELECT 1 FROM holdings WHERE digest = ?", (digest,)).fetchone() is None:
            rows.execute("DELETE FROM manifests WHERE digest = ?", (digest,))
            rows.execute("DELETE FROM links WHERE parent = ?", (digest,))
