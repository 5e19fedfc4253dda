"""Rows of pins: images that no eviction, expiry or removal may delete.

The functions run in the caller's transaction, so that a pin and other rows change together.
`content/pins.py` writes these rows and the file `pins.json`.
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
    """A manifest that a pin keeps.

    With `is_deep` the pin also keeps everything that the manifest refers to, and the manifests that
    refer to it. `platform` is the platform of a pin for one platform; it is empty for a pin of all
    platforms.
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
    """Tags and digests that the pins of some repositories keep, at one moment.

    The keys of `pins` are a repository and a kept tag or digest; the value is the reference of the
    pin that keeps it.
    """

    pins: Mapping[tuple[str, str], str]

    def find(
        self, repository: Repository, tags: Iterable[str], manifests: Iterable[str]
    ) -> str | None:
        """Return the name of a pin of this repository that keeps one of these, or None."""
        for each in (*tags, *manifests):
            pin = self.pins.get((str(repository), each))
            if pin is not None:
                return format_image(repository, parse_reference(pin))
        return None


# Finds everything that a pin keeps with some manifests: what they refer to, and the manifests of
# the same repository that refer to them, by `subject` or by a tag that cosign made of their digest.
# Manifests of other repositories do not count: otherwise their users could keep images here. `pin`
# is the reference of the pin.
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
# What each pin of some repositories keeps. A pin also keeps its own tag, even if the tag has moved.
_INDEX = f"""
    WITH RECURSIVE {_SIGNED}, asked AS (
        SELECT * FROM pins WHERE repository IN (SELECT value FROM json_each(?))
    ), deep (digest, repository, pin) AS (
        SELECT digest, repository, reference FROM asked WHERE is_deep {_KEPT_WITH}
    ) SELECT repository, digest, pin FROM deep
        UNION ALL SELECT repository, digest, reference FROM asked
        UNION ALL SELECT repository, reference, reference FROM asked
"""  # noqa: S608 - constants of this file
# The beginning of a query; its table `kept` has the digests of everything that pins keep.
KEPT = f"""
    WITH RECURSIVE {_SIGNED}, deep (digest, repository, pin) AS (
        SELECT digest, repository, NULL FROM pins WHERE is_deep {_KEPT_WITH}
    ), kept (digest) AS (SELECT digest FROM deep UNION SELECT digest FROM pins)
"""  # noqa: S608 - constants of this file


# The stored blobs that pins with these roots keep. A root is JSON: [repository, digest, is_deep].
_STORED = f"""
    WITH RECURSIVE {_SIGNED}, asked (repository, digest, is_deep) AS (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
            FROM json_each(?)
    ), deep (digest, repository, pin) AS (
        SELECT digest, repository, NULL FROM asked WHERE is_deep {_KEPT_WITH}
    ) SELECT digest FROM blobs
        WHERE digest IN (SELECT digest FROM deep UNION SELECT digest FROM asked)
"""  # noqa: S608 - constants of this file
# Whether any pin keeps one digest. The query follows `_KEPT_WITH` in reverse, from the digest up to
# the pins, because few manifests refer to one blob, but pins may keep very many blobs. Only pins of
# `repository` count; NULL means that the pins of all repositories count.
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

    If the caller deletes the blob's row in the same transaction, no pin can be put in between.
    """
    if rows.execute("SELECT 1 FROM pins LIMIT 1").fetchone() is None:
        return False
    return bool(rows.execute(_IS_KEPT, (str(digest),)).fetchone()[0])


def list_stored(rows: sqlite3.Connection, pins: Iterable[Pin]) -> frozenset[str]:
    """Return the digests of the stored blobs that pins with these roots keep, or would keep."""
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
    """Insert pins; a pin replaces an earlier pin of the same name.

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
    """Delete the pins of these names, and return how many were deleted."""
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
