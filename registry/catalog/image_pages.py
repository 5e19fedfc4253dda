"""Images one page at a time, and how much of each is stored; for people who look at many of them.

Unlike `image_graph.py`, nothing here reads the whole catalog, apart from `list_ordered`. The
functions of each page run on one snapshot.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from registry.catalog.database import Database

_AFTER_SLASH = "0"  # the character after "/" in ASCII: the end of all names that begin with "a/"
_LAST_NAME = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images are wanted: `text` is a part of their names, `registry` the first part of them.

    `repository` is a whole repository, with its registry. With `is_gone`, their upstream does not
    have the tag any more. Empty values mean all. In `text`, capital
    and small letters are the same.
    """

    text: str = ""
    registry: str = ""
    is_pinned: bool = False
    repository: str = ""
    is_gone: bool = False

    @property
    def span(self) -> tuple[str, str]:
        """The first name of a repository that is wanted, and one that comes after all of them."""
        if self.repository:
            return self.repository, f"{self.repository} "  # no name has a space
        if self.registry:
            return f"{self.registry}/", f"{self.registry}{_AFTER_SLASH}"
        return "", _LAST_NAME


@dataclass(frozen=True, slots=True)
class NamedRow:
    """An image by its tag, or by its digest if no tag and no index leads to it.

    `seen` is when an upstream or a bundle last said what the name means, `pulled` when a client
    last pulled the image (epoch seconds, 0: never). `is_pinned` says whether a pin has this name.
    `former` is the tag by which clients have pulled an image that has no tag any more; "" if that
    is not known. `gone` is when its upstream first said that it does not have the tag (0: it has).
    """

    repository: str
    reference: str
    digest: str
    seen: float
    is_rolled_back: bool
    pulled: float
    is_pinned: bool
    former: str = ""
    gone: float = 0.0

    @property
    def name(self) -> str:
        """The image as people write it: repository, and tag or digest."""
        return f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"


@dataclass(frozen=True, slots=True)
class StoredPart:
    """How much of an image is stored: `size` bytes.

    `manifests` is the number of its manifests, without indexes, and of `whole` of them manifest and
    blobs are stored.
    """

    size: int
    manifests: int
    whole: int


_PULLED = """
    COALESCE((SELECT MAX(pulled) FROM pulls
        WHERE pulls.digest = named.digest AND pulls.repository = named.repository), 0)
"""
_PINNED = """
    EXISTS (SELECT 1 FROM pins
        WHERE pins.repository = named.repository AND pins.reference = named.reference)
"""
_FORMER = """
    COALESCE((SELECT reference FROM pulls
        WHERE pulls.digest = held.digest AND pulls.repository = held.repository
        AND reference != '' AND reference NOT LIKE '%:%' ORDER BY pulled DESC LIMIT 1), '')
"""
# An image has no tag if neither a tag nor an index of its repository leads to it.
_TAGGED = """
    SELECT repository, tag AS reference, digest, checked AS seen, rolled_back, '' AS former,
        CASE WHEN gone > checked THEN gone ELSE 0 END AS gone
        FROM tags
        WHERE (NOT :is_gone OR gone > checked) AND (repository, tag) > (:repository, :reference)
        AND repository >= :first AND repository < :last
        AND (:text = '' OR instr(lower(repository || ':' || tag), :text))
"""
_UNTAGGED = f"""
    SELECT repository, digest AS reference, digest, seen, 0 AS rolled_back, {_FORMER} AS former,
        0 AS gone
        FROM holdings AS held
        WHERE NOT :is_gone AND (repository, digest) > (:repository, :reference)
        AND (repository, digest) < (:until_repository, :until_reference)
        AND repository >= :first AND repository < :last
        AND (:text = '' OR instr(lower(repository || '@' || digest), :text))
        AND NOT EXISTS (
            SELECT 1 FROM tags WHERE repository = held.repository AND digest = held.digest
        ) AND NOT EXISTS (
            SELECT 1 FROM links JOIN holdings ON holdings.digest = parent
                WHERE child = held.digest AND is_manifest AND repository = held.repository
        )
"""  # noqa: S608 - all parts are constants


def _write_query(names: str, end: str) -> str:
    """Return a query for `NamedRow`s; all parts are constants."""
    return f"""
        SELECT repository, reference, digest, seen, rolled_back, {_PULLED} AS pulled,
            {_PINNED} AS is_pinned, former, gone
        FROM ({names}) AS named WHERE (NOT :is_pinned OR {_PINNED}) {end}
    """  # noqa: S608


_TAGGED_PAGE = _write_query(_TAGGED, "ORDER BY repository, reference LIMIT :most")
_UNTAGGED_PAGE = _write_query(_UNTAGGED, "ORDER BY repository, reference LIMIT :most")
_ALL = _write_query(f"{_TAGGED} UNION ALL {_UNTAGGED}", "")
_BELOW = """
    WITH RECURSIVE below (digest) AS (
        SELECT ?1 UNION SELECT child FROM below JOIN links ON links.parent = below.digest
    ) SELECT COALESCE(SUM(size), 0) FROM below JOIN blobs USING (digest)
"""
_CHILDREN = "SELECT child FROM links WHERE parent = ? AND is_manifest"
# A manifest and its blobs: how many there are, how many of them are stored, and their bytes.
_PARTS = """
    SELECT COUNT(*), COUNT(blobs.digest), COALESCE(SUM(blobs.size), 0) FROM (
        SELECT ?1 AS part UNION ALL SELECT child FROM links WHERE parent = ?1 AND NOT is_manifest
    ) LEFT JOIN blobs ON blobs.digest = part
"""


class ImagePageCatalog:
    """Reads images by pages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_page(
        self, wanted: ImageFilter, after: tuple[str, str], most: int
    ) -> list[tuple[NamedRow, StoredPart]]:
        """Return the next `most` images in the order of their names.

        They come after the repository and the reference `after` (empty: from the first one on).

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(lambda rows: _read_page(rows, wanted, after, most))

    async def list_ordered(self, wanted: ImageFilter) -> list[NamedRow]:
        """Return all images that are wanted, to be sorted by something else than their names.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(
            lambda rows: _make_rows(rows.execute(_ALL, _bind(wanted, ("", ""), 0)))
        )

    async def measure(self, digests: Iterable[str]) -> dict[str, StoredPart]:
        """Return how much is stored of each of these manifests and of what is below them.

        Raises:
            StoreError: the catalog refused.
        """
        wanted = list(digests)
        return await self._database.survey(
            lambda rows: {digest: measure(rows, digest) for digest in wanted}
        )

    async def find(self, repository: str, reference: str) -> NamedRow | None:
        """Return an image by its exact name; None if it is not known.

        A digest means any manifest of the repository.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(lambda rows: _find(rows, repository, reference))

    async def list_stored(self, digests: Iterable[str]) -> dict[str, int]:
        """Return those of these blobs that are stored, with their sizes in bytes.

        Raises:
            StoreError: the catalog refused.
        """
        wanted = list(digests)
        query = "SELECT size FROM blobs WHERE digest = ?"
        return await self._database.survey(
            lambda rows: {
                digest: found[0] for digest in wanted for found in rows.execute(query, (digest,))
            }
        )

    async def count_gone(self) -> int:
        """Return the number of tags that their upstream does not have any more.

        Raises:
            StoreError: the catalog refused.
        """
        query = "SELECT COUNT(*) FROM tags WHERE gone > checked"
        return await self._database.survey(lambda rows: int(rows.execute(query).fetchone()[0]))

    async def count_images(self) -> int:
        """Return the number of tags.

        Raises:
            StoreError: the catalog refused.
        """
        query = "SELECT COUNT(*) FROM tags"
        return await self._database.survey(lambda rows: int(rows.execute(query).fetchone()[0]))


def _bind(
    wanted: ImageFilter, after: tuple[str, str], most: int, until: tuple[str, str] | None = None
) -> dict[str, object]:
    first, last = wanted.span
    return {
        "repository": after[0],
        "reference": after[1],
        "until_repository": until[0] if until else _LAST_NAME,
        "until_reference": until[1] if until else _LAST_NAME,
        "first": first,
        "last": last,
        "text": wanted.text.lower(),
        "is_pinned": wanted.is_pinned,
        "is_gone": wanted.is_gone,
        "most": most,
    }


def _make_rows(
    found: Iterable[tuple[str, str, str, float, int, float, int, str, float]],
) -> list[NamedRow]:
    return [NamedRow(*row[:4], bool(row[4]), row[5], bool(row[6]), *row[7:]) for row in found]


def _read_page(
    rows: sqlite3.Connection, wanted: ImageFilter, after: tuple[str, str], most: int
) -> list[tuple[NamedRow, StoredPart]]:
    tagged = _make_rows(rows.execute(_TAGGED_PAGE, _bind(wanted, after, most)))
    # Hardly any image has no tag: without an end, all other manifests would be looked at.
    until = (tagged[-1].repository, tagged[-1].reference) if len(tagged) == most else None
    untagged = _make_rows(rows.execute(_UNTAGGED_PAGE, _bind(wanted, after, most, until)))
    page = sorted([*tagged, *untagged], key=lambda row: (row.repository, row.reference))[:most]
    return [(row, measure(rows, row.digest)) for row in page]


def measure(rows: sqlite3.Connection, digest: str) -> StoredPart:
    """Return how much is stored of a manifest, and of what is below it."""
    children = [row[0] for row in rows.execute(_CHILDREN, (digest,))]
    # Most images are one manifest: each of its blobs is looked up once.
    parts = [rows.execute(_PARTS, (child,)).fetchone() for child in children or [digest]]
    whole = sum(stored == count for count, stored, _ in parts)
    # The manifests of an index may share blobs, and may be indexes themselves.
    size = rows.execute(_BELOW, (digest,)).fetchone()[0] if children else parts[0][2]
    return StoredPart(int(size), len(parts), whole)


def _find(rows: sqlite3.Connection, repository: str, reference: str) -> NamedRow | None:
    by_tag = """
        SELECT repository, tag AS reference, digest, checked AS seen, rolled_back, '' AS former,
            CASE WHEN gone > checked THEN gone ELSE 0 END AS gone
            FROM tags WHERE repository = :repository AND tag = :reference
    """
    by_digest = f"""
        SELECT repository, digest AS reference, digest, seen, 0 AS rolled_back,
            CASE WHEN EXISTS (
                SELECT 1 FROM tags WHERE repository = held.repository AND digest = held.digest
            ) THEN '' ELSE {_FORMER} END AS former, 0 AS gone
            FROM holdings AS held WHERE repository = :repository AND digest = :reference
    """  # noqa: S608 - all parts are constants
    names = by_digest if ":" in reference else by_tag
    values = {"repository": repository, "reference": reference, "is_pinned": False}
    found = _make_rows(rows.execute(_write_query(names, ""), values))
    return found[0] if found else None
