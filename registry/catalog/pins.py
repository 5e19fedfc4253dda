"""Pins: images that stay for ever, whatever room is wanted."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import (
    Reference,
    Repository,
    Tag,
    parse_reference,
    parse_repository,
    spell_image,
)


@dataclass(frozen=True, slots=True)
class Root:
    """A manifest that a pin keeps; with `is_deep` also all it refers to, and what refers to it.

    `platform` is what the pin was limited to; empty for a pin of everything.
    """

    digest: Digest
    is_deep: bool
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """One image that an operator pinned, as it was named, and when (epoch seconds)."""

    repository: Repository
    reference: Reference
    roots: tuple[Root, ...]
    made: float

    @property
    def name(self) -> str:
        """The image as people write it."""
        return spell_image(self.repository, self.reference)


# From some manifests to all that stays with them: what they refer to, and what their repository has
# that refers to them, by `subject` or, as cosign does it, by a tag made of their digest. Another
# repository's must not: everybody could then have their images kept.
_SPREAD = """
        UNION SELECT child, repository FROM deep JOIN links ON links.parent = deep.digest
        UNION SELECT manifests.digest, deep.repository FROM deep
            JOIN manifests ON subject = deep.digest
            JOIN holdings ON holdings.repository = deep.repository
                AND holdings.digest = manifests.digest
        UNION SELECT signed.digest, deep.repository FROM deep
            JOIN signed ON signed.subject = deep.digest AND signed.repository = deep.repository
"""
_SIGNED = """
    signed (subject, repository, digest) AS MATERIALIZED (
        SELECT 'sha256:' || substr(tag, 8, 64), repository, digest FROM tags
            WHERE tag GLOB 'sha256-*'
    )
"""
_REACH = f"""
    WITH RECURSIVE {_SIGNED}, deep (digest, repository) AS (
        SELECT value, ?2 FROM json_each(?1) {_SPREAD}
    ) SELECT digest FROM deep
"""  # noqa: S608
# A table `kept` of all that pins keep, to begin a query with.
KEPT = f"""
    WITH RECURSIVE {_SIGNED}, deep (digest, repository) AS (
        SELECT digest, repository FROM pins WHERE is_deep {_SPREAD}
    ), kept (digest) AS (SELECT digest FROM deep UNION SELECT digest FROM pins)
"""  # noqa: S608


class PinCatalog:
    """Rows about pins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, repository: Repository, reference: Reference, roots: Sequence[Root], now: float
    ) -> None:
        """Pin an image to what it is now; whatever it was pinned to before is pinned no more."""
        name = (str(repository), str(reference))
        values = [(*name, str(root.digest), root.is_deep, root.platform, now) for root in roots]

        def change(rows: sqlite3.Connection) -> None:
            rows.execute("DELETE FROM pins WHERE repository = ? AND reference = ?", name)
            rows.executemany("INSERT INTO pins VALUES (?, ?, ?, ?, ?, ?)", values)

        await self._database.write(change)

    async def remove(self, repository: Repository, reference: Reference) -> bool:
        """Unpin an image; false when it was not pinned under this name."""
        name = (str(repository), str(reference))
        query = "DELETE FROM pins WHERE repository = ? AND reference = ?"
        return await self._database.write(lambda rows: rows.execute(query, name).rowcount > 0)

    def find(self, repository: Repository, reference: Reference) -> Pin | None:
        """Return the pin of this name."""
        named = (pin for pin in self.list_all() if pin.repository == repository)
        return next((pin for pin in named if pin.reference == reference), None)

    async def find_keeper(
        self, repository: Repository, tags: Iterable[Tag], manifests: Iterable[Digest]
    ) -> Pin | None:
        """Return a pin of this repository that is named so, or keeps one of these manifests."""
        wanted = {str(digest) for digest in manifests}
        named = {tag.name for tag in tags}
        for pin in self.list_all():
            if pin.repository != repository:
                continue
            if str(pin.reference) in named or wanted & await self._reach(pin):
                return pin
        return None

    async def _reach(self, pin: Pin) -> set[str]:
        """Return the digests that a pin keeps."""
        deep = json.dumps([str(root.digest) for root in pin.roots if root.is_deep])
        values = (deep, str(pin.repository))
        found = await self._database.survey(lambda rows: rows.execute(_REACH, values).fetchall())
        return {str(root.digest) for root in pin.roots} | {row[0] for row in found}

    def list_all(self) -> list[Pin]:
        """Return every pin, by name."""
        rows = self._database.read(
            "SELECT repository, reference, digest, is_deep, platform, made FROM pins"
            " ORDER BY repository, reference, digest"
        )
        roots: dict[tuple[str, str, float], list[Root]] = {}
        for repository, reference, digest, is_deep, platform, made in rows:
            root = Root(Digest.parse(digest), bool(is_deep), platform)
            roots.setdefault((repository, reference, made), []).append(root)
        return [
            Pin(parse_repository(repository), parse_reference(reference), tuple(each), made)
            for (repository, reference, made), each in roots.items()
        ]
