"""All images at one moment: their names, their manifests and blobs, and which are stored."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from registry.catalog.database import Database


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image by its tag, or by its digest if no tag and no index leads to the manifest.

    `seen` is when an upstream or a bundle last said that the name leads to `digest`, `pulled` when
    a client last pulled the image (epoch seconds, 0 for never). If a bundle said it, `bundle` is
    the id of the bundle, and `signer` the name of the key that signed the bundle. `gone` is when
    its upstream first said that it does not have the tag any more (0: it has, or was not asked).
    """

    repository: str
    reference: str
    digest: str
    seen: float
    pulled: float
    bundle: str = ""
    signer: str = ""
    gone: float = 0.0

    @property
    def name(self) -> str:
        """The image as people write it: repository, and tag or digest."""
        return f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"


@dataclass(frozen=True, slots=True)
class Link:
    """A reference from a manifest to a manifest or blob; `size` in bytes."""

    digest: str
    size: int
    is_manifest: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """All images at one moment; digests are text.

    `media_types` and `links` have the media type and the references of each known manifest, by
    digest. `stored` has the sizes in bytes of all stored blobs, including manifests, by digest.
    """

    images: tuple[NamedImage, ...]
    media_types: Mapping[str, str]
    links: Mapping[str, tuple[Link, ...]]
    stored: Mapping[str, int]

    def reach(self, *roots: str) -> Iterator[str]:
        """Yield the digests of these manifests and of everything below them, each once."""
        seen = set(roots)
        waiting = list(roots)
        while waiting:
            digest = waiting.pop()
            yield digest
            for link in self.links.get(digest, ()):
                if link.digest not in seen:
                    seen.add(link.digest)
                    waiting.append(link.digest)

    def keep_stored(self, digests: Collection[str]) -> "Graph":
        """Return the graph as if nothing but these digests was stored."""
        stored = {digest: size for digest, size in self.stored.items() if digest in digests}
        return replace(self, stored=stored)

    def is_empty(self, image: NamedImage, without: Collection[str] = ()) -> bool:
        """Whether nothing of an image is stored, neither its manifest nor a blob.

        The blobs in `without` count as deleted.
        """
        return not any(
            digest in self.stored and digest not in without for digest in self.reach(image.digest)
        )


# A manifest is listed by its digest if no tag and no index of its repository leads to it.
_IMAGES = """
    SELECT tags.repository, tag, tags.digest, checked, COALESCE(pulled, 0), bundle, signer,
        CASE WHEN gone > checked THEN gone ELSE 0 END
        FROM tags LEFT JOIN last_pulls USING (repository, digest)
    UNION ALL
    SELECT held.repository, held.digest, held.digest, seen, COALESCE(pulled, 0), '', '', 0
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
    """Reads the whole catalog at once; commands use it, and pulls do not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Graph:
        """Return the graph; this takes one second for a hundred thousand images.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(_load)

    async def list_delivered(self, registries: Collection[str]) -> frozenset[str]:
        """Return the digests whose bytes one of these registries has delivered or proved.

        Raises:
            StoreError: the catalog refused.
        """
        places = ", ".join("?" * len(registries))
        query = f"SELECT digest FROM deliveries WHERE registry IN ({places})"  # noqa: S608 - only question marks
        return await self._database.survey(
            lambda rows: frozenset(row[0] for row in rows.execute(query, tuple(registries)))
        )


def _load(rows: sqlite3.Connection) -> Graph:
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
