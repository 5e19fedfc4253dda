"""Pins: images that stay for ever, whatever room is wanted."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import (
    Reference,
    Repository,
    format_image,
    parse_reference,
    parse_repository,
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
        return format_image(self.repository, self.reference)


@dataclass(frozen=True, slots=True)
class Keepers:
    """Which pins keep what of some repositories, at one moment."""

    pins: Mapping[tuple[str, str], str]  # their references, by repository, and a tag or digest

    def find(
        self, repository: Repository, tags: Iterable[str], manifests: Iterable[str]
    ) -> str | None:
        """Return the name of a pin of this repository that is named so, or keeps a manifest."""
        for each in (*tags, *manifests):
            pin = self.pins.get((str(repository), each))
            if pin is not None:
                return format_image(repository, parse_reference(pin))
        return None


# From some manifests to all that stays with them: what they refer to, and what their repository has
# that refers to them, by `subject` or, as cosign does it, by a tag made of their digest. Another
# repository's must not: everybody could then have their images kept. `pin` is what is asked for.
_SPREAD = """
        UNION SELECT child, repository, pin FROM deep JOIN links ON links.parent = deep.digest
        UNION SELECT manifests.digest, deep.repository, pin FROM deep
            JOIN manifests ON subject = deep.digest
            JOIN holdings ON holdings.repository = deep.repository
                AND holdings.digest = manifests.digest
        UNION SELECT signed.digest, deep.repository, pin FROM deep
            JOIN signed ON signed.subject = deep.digest AND signed.repository = deep.repository
"""
_SIGNED = """
    signed (subject, repository, digest) AS MATERIALIZED (
        SELECT 'sha256:' || substr(tag, 8, 64), repository, digest FROM tags
            WHERE tag GLOB 'sha256-*'
    )
"""
# What each pin of some repositories keeps; a pin keeps its own tag too, wherever that leads now.
_KEEPERS = f"""
    WITH RECURSIVE {_SIGNED}, asked AS (
        SELECT * FROM pins WHERE repository IN (SELECT value FROM json_each(?))
    ), deep (digest, repository, pin) AS (
        SELECT digest, repository, reference FROM asked WHERE is_deep {_SPREAD}
    ) SELECT repository, digest, pin FROM deep
        UNION ALL SELECT repository, digest, reference FROM asked
        UNION ALL SELECT repository, reference, reference FROM asked
"""  # noqa: S608
# A table `kept` of all that pins keep, to begin a query with.
KEPT = f"""
    WITH RECURSIVE {_SIGNED}, deep (digest, repository, pin) AS (
        SELECT digest, repository, NULL FROM pins WHERE is_deep {_SPREAD}
    ), kept (digest) AS (SELECT digest FROM deep UNION SELECT digest FROM pins)
"""  # noqa: S608


# What some roots lead to and is stored. The roots are JSON: repository, digest, is_deep.
_STORED = f"""
    WITH RECURSIVE {_SIGNED}, asked (repository, digest, is_deep) AS (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
            FROM json_each(?)
    ), deep (digest, repository, pin) AS (
        SELECT digest, repository, NULL FROM asked WHERE is_deep {_SPREAD}
    ) SELECT digest FROM blobs
        WHERE digest IN (SELECT digest FROM deep UNION SELECT digest FROM asked)
"""  # noqa: S608
# Whether any pin keeps one digest. It walks the way of `_SPREAD` backwards, from the digest up to
# the pins, since what lies above one blob is little, and what lies below all pins may be much.
# `repository` is the one whose pins count; NULL as long as every repository's do.
_IS_KEPT = """
    WITH RECURSIVE above (digest, repository) AS (
        SELECT ?1, NULL
        UNION SELECT parent, above.repository FROM above JOIN links ON links.child = above.digest
        UNION SELECT subject, holdings.repository FROM above
            JOIN manifests ON manifests.digest = above.digest AND subject IS NOT NULL
            JOIN holdings ON holdings.digest = above.digest
                AND holdings.repository = COALESCE(above.repository, holdings.repository)
        UNION SELECT 'sha256:' || substr(tag, 8, 64), tags.repository FROM above
            JOIN holdings ON holdings.digest = above.digest
                AND holdings.repository = COALESCE(above.repository, holdings.repository)
            JOIN tags ON tags.repository = holdings.repository AND tags.digest = above.digest
                AND tag GLOB 'sha256-*'
    ) SELECT EXISTS (SELECT 1 FROM pins WHERE digest = ?1) OR EXISTS (
        SELECT 1 FROM above JOIN pins ON pins.digest = above.digest
            AND pins.repository = COALESCE(above.repository, pins.repository)
            WHERE is_deep
    )
"""


def is_kept(rows: sqlite3.Connection, digest: Digest) -> bool:
    """Whether a pin keeps this blob: directly, or by a manifest that a pin keeps with all under it.

    Asked in the transaction that is to forget the blob, no pin can come in between.
    """
    if rows.execute("SELECT 1 FROM pins LIMIT 1").fetchone() is None:
        return False
    return bool(rows.execute(_IS_KEPT, (str(digest),)).fetchone()[0])


def _list_stored(rows: sqlite3.Connection, pins: Iterable[Pin]) -> frozenset[str]:
    asked = [
        (str(pin.repository), str(root.digest), root.is_deep) for pin in pins for root in pin.roots
    ]
    return frozenset(row[0] for row in rows.execute(_STORED, (json.dumps(asked),)))


def list_keepers(rows: sqlite3.Connection, repositories: Iterable[Repository]) -> Keepers:
    """Walk once through all that the pins of these repositories keep."""
    asked = json.dumps([str(repository) for repository in repositories])
    found = rows.execute(_KEEPERS, (asked,))
    return Keepers({(repository, kept): pin for repository, kept, pin in found})


class PinCatalog:
    """Rows about pins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_stored(self, pins: Iterable[Pin]) -> frozenset[str]:
        """Return the digests of the stored blobs that these pins would keep, or keep."""
        wanted = list(pins)
        return await self._database.survey(lambda rows: _list_stored(rows, wanted))

    async def put(self, pins: Iterable[Pin]) -> frozenset[str]:
        """Pin images to what they are now; what they were pinned to before is pinned no more.

        Returns the digests of the stored blobs that these pins keep from now on.
        """
        wanted = list(pins)

        def change(rows: sqlite3.Connection) -> frozenset[str]:
            for pin in wanted:
                name = (str(pin.repository), str(pin.reference))
                rows.execute("DELETE FROM pins WHERE repository = ? AND reference = ?", name)
                roots = [
                    (*name, str(root.digest), root.is_deep, root.platform, pin.made)
                    for root in pin.roots
                ]
                rows.executemany("INSERT INTO pins VALUES (?, ?, ?, ?, ?, ?)", roots)
            return _list_stored(rows, wanted)

        return await self._database.write(change)

    async def remove(self, names: Iterable[tuple[Repository, Reference]]) -> int:
        """Unpin images, and return how many of them were pinned under these names."""
        values = [(str(repository), str(reference)) for repository, reference in names]
        query = "DELETE FROM pins WHERE repository = ? AND reference = ?"
        return await self._database.write(
            lambda rows: sum(rows.execute(query, name).rowcount > 0 for name in values)
        )

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
