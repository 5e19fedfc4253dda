"""Images by repository, and several images together; for people who look at many of them."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.catalog.image_pages import ImageFilter


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A repository with its number of tags and of pinned names.

    `pulled` is when a client last pulled anything of it (epoch seconds, 0: never).
    """

    repository: str
    tags: int
    pinned: int
    pulled: float


# Only the repositories of one page are looked at more closely.
_PAGE = """
    SELECT repository,
        (SELECT COUNT(*) FROM tags WHERE tags.repository = named.repository),
        (SELECT COUNT(*) FROM pins WHERE pins.repository = named.repository),
        COALESCE((SELECT MAX(pulled) FROM holdings JOIN pulls USING (repository, digest)
            WHERE holdings.repository = named.repository), 0.0)
    FROM (
        SELECT DISTINCT repository FROM holdings
            WHERE repository > :after AND repository >= :first AND repository < :last
            AND (:text = '' OR instr(lower(repository), :text))
            AND (NOT :is_pinned
                OR EXISTS (SELECT 1 FROM pins WHERE pins.repository = holdings.repository))
            ORDER BY repository LIMIT :most
    ) AS named ORDER BY repository
"""
_TOGETHER = """
    WITH RECURSIVE below (digest) AS (
        SELECT value FROM json_each(?1)
            UNION SELECT child FROM below JOIN links ON links.parent = below.digest
    ) SELECT COALESCE(SUM(size), 0) FROM below JOIN blobs USING (digest)
"""
# What an index lists is added in Python, since an index may list another one.
_SIZES = """
    SELECT parent, SUM(COALESCE(blobs.size, 0)) FROM links LEFT JOIN blobs ON digest = child
        WHERE NOT is_manifest GROUP BY parent
"""


class ImageGroupCatalog:
    """Reads repositories by pages, and adds up images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_page(self, wanted: ImageFilter, after: str, most: int) -> list[GroupRow]:
        """Return the next `most` repositories after the name `after`, in the order of names.

        `wanted.text` is a part of the name of a repository. With `is_pinned`, they have a pin.

        Raises:
            StoreError: the catalog refused.
        """
        first, last = wanted.span
        values = {
            "after": after,
            "first": first,
            "last": last,
            "text": wanted.text.lower(),
            "is_pinned": wanted.is_pinned,
            "most": most,
        }
        return await self._database.survey(
            lambda rows: [GroupRow(*row) for row in rows.execute(_PAGE, values)]
        )

    async def measure_together(self, digests: Iterable[str]) -> int:
        """Return how many bytes are stored below these manifests; each blob counts once.

        Raises:
            StoreError: the catalog refused.
        """
        wanted = json.dumps(sorted(set(digests)))

        def measure(rows: sqlite3.Connection) -> int:
            return int(rows.execute(_TOGETHER, (wanted,)).fetchone()[0])

        return await self._database.survey(measure)

    async def list_sizes(self) -> Mapping[str, int]:
        """Return how many bytes are stored below each known manifest, by digest.

        This reads all references: seconds for a million of them. A blob that several manifests of
        an index have counts for each of them.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(_list_sizes)


def _list_sizes(rows: sqlite3.Connection) -> dict[str, int]:
    sizes: dict[str, int] = dict(rows.execute(_SIZES))
    for digest, size in rows.execute(
        "SELECT digest, blobs.size FROM manifests JOIN blobs USING (digest)"
    ):
        sizes[digest] = sizes.get(digest, 0) + size
    indexes: dict[str, list[str]] = {}
    for parent, child in rows.execute("SELECT parent, child FROM links WHERE is_manifest"):
        indexes.setdefault(parent, []).append(child)

    def add_up(digest: str, above: frozenset[str]) -> int:
        below = [child for child in indexes.get(digest, ()) if child not in above]
        return sizes.get(digest, 0) + sum(add_up(child, above | {digest}) for child in below)

    return sizes | {digest: add_up(digest, frozenset()) for digest in indexes}
