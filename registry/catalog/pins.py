"""Rows of pins: images that no eviction, expiry or removal may take.

Functions get the rows of a transaction, so that a pin and what depends on it change together.
`content/pins.py` keeps these rows and the file `pins.json` in step.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
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

    `platform` is the platform that the pin was limited to, empty for a pin of all platforms.
    """

    digest: Digest
    is_deep: bool
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """An image that an operator pinned by this name, and when it was pinned (epoch seconds)."""

    repository: Repository
    reference: Reference
    roots: tuple[Root, ...]
    made: float

    @property
    def name(self) -> str:
        """The name of the image, as people write it."""
        return format_image(self.repository, self.reference)


@dataclass(frozen=True, slots=True)
class PinIndex:
    """Which pins of some repositories keep what, at one moment.

    `pins` has the reference of the pin, by repository and by the tag or digest that it keeps.
    """

    pins: Mapping[tuple[str, str], str]

    def find(
        self, repository: Repository, tags: Iterable[str], manifests: Iterable[str]
    ) -> str | None:
        """Return the name of a pin of this repository that keeps any of these, or None."""
        for each in (*tags, *manifests):
            pin = self.pins.get((str(repository), each))
            if pin is not None:
                return format_image(repository, parse_reference(pin))
        return None


# From some manifests to all that a pin keeps with them: what they refer to, and what in their
# repository refers to them, by `subject` or, as cosign does it, by a tag made of their digest. What
# another repository has does not count, as any of its users could then have images kept. `pin` is
# the reference of the pin.
_KEPT_WITH = """
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
# What each pin of some repositories keeps. A pin also keeps its own tag, wherever that leads now.
_INDEX = f"""
    WITH RECURSIVE {_SIGNED}, asked AS (
        SELECT * FROM pins WHERE repository IN (SELECT value FROM json_each(?))
    ), deep (digest, repository, pin) AS (
        SELECT digest, repository, reference FROM asked WHERE is_deep {_KEPT_WITH}
    ) SELECT repository, digest, pin FROM deep
        UNION ALL SELECT repository, digest, reference FROM asked
        UNION ALL SELECT repository, reference, reference FROM asked
"""  # noqa: S608
# The beginning of a query that uses a table `kept` of all that pins keep.
KEPT = f"""
    WITH RECURSIVE {_SIGNED}, deep (digest, repository, pin) AS (
        SELECT digest, repository, NULL FROM pins WHERE is_deep {_KEPT_WITH}
    ), kept (digest) AS (SELECT digest FROM deep UNION SELECT digest FROM pins)
"""  # noqa: S608


# The stored blobs that pins with some roots keep. Roots are JSON: repository, digest, is_deep.
_STORED = f"""
    WITH RECURSIVE {_SIGNED}, asked (repository, digest, is_deep) AS (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
            FROM json_each(?)
    ), deep (digest, repository, pin) AS (
        SELECT digest, repository, NULL FROM asked WHERE is_deep {_KEPT_WITH}
    ) SELECT digest FROM blobs
        WHERE digest IN (SELECT digest FROM deep UNION SELECT digest FROM asked)
"""  # noqa: S608
# Whether any pin keeps one digest. The query follows `_KEPT_WITH` in reverse, from the digest up to
# the pins: few manifests are above one blob, but very many blobs may be below all pins. Only pins
# of `repository` count; NULL means that pins of every repository do.
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
    """Whether a pin keeps this blob, directly or by a manifest above it.

    If this is called in the transaction that deletes the blob's row, no pin can come in between.
    """
    if rows.execute("SELECT 1 FROM pins LIMIT 1").fetchone() is None:
        return False
    return bool(rows.execute(_IS_KEPT, (str(digest),)).fetchone()[0])


def list_stored(rows: sqlite3.Connection, pins: Iterable[Pin]) -> frozenset[str]:
    """Return the digests of the stored blobs that these pins keep, or would keep."""
    asked = [
        (str(pin.repository), str(root.digest), root.is_deep) for pin in pins for root in pin.roots
    ]
    return frozenset(row[0] for row in rows.execute(_STORED, (json.dumps(asked),)))


def index_pins(rows: sqlite3.Connection, repositories: Iterable[Repository]) -> PinIndex:
    """Return what the pins of these repositories keep."""
    asked = json.dumps([str(repository) for repository in repositories])
    found = rows.execute(_INDEX, (asked,))
    return PinIndex({(repository, kept): pin for repository, kept, pin in found})


def put_pins(rows: sqlite3.Connection, pins: Sequence[Pin]) -> frozenset[str]:
    """Insert pins, each in place of the former one of its name.

    Returns the digests of the stored blobs that these pins keep from now on.
    """
    for pin in pins:
        name = (str(pin.repository), str(pin.reference))
        rows.execute("DELETE FROM pins WHERE repository = ? AND reference = ?", name)
        roots = [
            (*name, str(root.digest), root.is_deep, root.platform, pin.made) for root in pin.roots
        ]
        rows.executemany("INSERT INTO pins VALUES (?, ?, ?, ?, ?, ?)", roots)
    return list_stored(rows, pins)


def remove_pins(rows: sqlite3.Connection, names: Collection[tuple[Repository, Reference]]) -> int:
    """Delete the pins of these names, and return how many there were."""
    query = "DELETE FROM pins WHERE repository = ? AND reference = ?"
    return sum(rows.execute(query, (str(where), str(what))).rowcount > 0 for where, what in names)


def list_pins(database: Database) -> list[Pin]:
    """Return every pin, by name.

    Raises:
        StoreError: the catalog refused.
    """
    rows = database.read(
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
