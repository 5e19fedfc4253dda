"""What there is in images: names, what they lead to, and what of it is stored."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from registry.catalog.database import Database


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image by a name that clients know: a tag, or where nothing else leads to it, its digest.

    `seen` is when an upstream last said that the name leads there, `pulled` when a client last
    asked for it (epoch seconds; 0: never). `bundle` is the id of the bundle that said so instead,
    and `signer` the name of the key that had signed it.
    """

    repository: str
    reference: str
    digest: str
    seen: float
    pulled: float
    bundle: str = ""
    signer: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """What a manifest refers to, `size` in bytes."""

    digest: str
    size: int
    is_manifest: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """All images at one moment, in the digests' spelling.

    `links` are by manifest, for those that are known; `stored` are the sizes in bytes of the blobs
    that are here, manifests included; `media_types` are those of known manifests.
    """

    images: tuple[NamedImage, ...]
    media_types: Mapping[str, str]
    links: Mapping[str, tuple[Link, ...]]
    stored: Mapping[str, int]

    def reach(self, *roots: str) -> Iterator[str]:
        """Yield the digests of these manifests and of all under them, each once."""
        seen = set(roots)
        waiting = list(roots)
        while waiting:
            digest = waiting.pop()
            yield digest
            for link in self.links.get(digest, ()):
                if link.digest not in seen:
                    seen.add(link.digest)
                    waiting.append(link.digest)


# A manifest is a name of its own when no tag of its repository and no index there leads to it.
_IMAGES = """
    SELECT tags.repository, tag, tags.digest, checked, COALESCE(pulled, 0), bundle, signer
        FROM tags LEFT JOIN last_pulls USING (repository, digest)
    UNION ALL
    SELECT held.repository, held.digest, held.digest, seen, COALESCE(pulled, 0), '', ''
        FROM holdings AS held LEFT JOIN last_pulls USING (repository, digest)
        WHERE NOT EXISTS (
            SELECT 1 FROM tags WHERE repository = held.repository AND digest = held.digest
        ) AND NOT EXISTS (
            SELECT 1 FROM links JOIN holdings ON holdings.digest = parent
                WHERE child = held.digest AND is_manifest AND repository = held.repository
        )
    ORDER BY 1, 2
"""


class ImageGraphCatalog:
    """Reads everything; for commands, not for pulls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def draw(self) -> Graph:
        """Return all that is known of images; takes a second for a hundred thousand of them.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(_draw)


def _draw(rows: sqlite3.Connection) -> Graph:
    links: dict[str, list[Link]] = {}
    query = "SELECT parent, child, size, is_manifest FROM links"
    for parent, child, size, is_manifest in rows.execute(query):
        links.setdefault(parent, []).append(Link(child, size, bool(is_manifest)))
    return Graph(
        images=tuple(NamedImage(*row) for row in rows.execute(_IMAGES)),
        media_types=dict(rows.execute("SELECT digest, media_type FROM manifests")),
        links={parent: tuple(each) for parent, each in links.items()},
        stored=dict(rows.execute("SELECT digest, size FROM blobs")),
    )
