"""Which repository has which manifests, and which manifest each tag leads to."""

import json
import sqlite3
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.catalog.deliveries import insert_stored
from registry.catalog.tag_hold import NO_HOLD, TagHold
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest
from registry.oci.names import Repository, Tag

# One look-up in the index for each name. DISTINCT would read a row for each manifest of all
# repositories.
_LIST_REPOSITORIES = """
    WITH RECURSIVE names(name) AS (
        SELECT MIN(repository) FROM holdings WHERE repository > ?1
        UNION ALL
        SELECT (SELECT MIN(repository) FROM holdings WHERE repository > name) FROM names
            WHERE name IS NOT NULL LIMIT ?2
    )
    SELECT name FROM names WHERE name IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class TagRecord:
    """The manifest that a tag leads to, and when this was last confirmed (epoch seconds).

    If a bundle confirmed it, and not an upstream, `bundle` is the id of the bundle, and `signer`
    the name of the key that signed the bundle. `warning` is what clients are told about it.
    `hold` says whether the tag leads to something else upstream. `gone` is when its upstream first
    said that it does not have the tag, if nobody has confirmed the tag since; otherwise 0.
    """

    digest: Digest
    checked: float
    bundle: str = ""
    signer: str = ""
    warning: str = ""
    hold: TagHold = NO_HOLD
    gone: float = 0.0


@dataclass(frozen=True, slots=True)
class Referrer:
    """A stored manifest that refers to a subject, with the fields of a referrers list."""

    descriptor: Descriptor
    artifact_type: str
    annotations: dict[str, str]


class ManifestCatalog:
    """Rows about manifests and tags; the bytes are in the blob store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_revision(self) -> int:
        """Return a number that grows when manifests in the memory of a process may be out of date.

        It grows when any process makes a tag lead to another manifest, removes a tag or a manifest
        from a repository, or deletes the bytes of a manifest. Pulls and confirmed tags do not
        change it.
        """
        return int(self._database.read("SELECT number FROM revision")[0][0])

    def find_tag(self, repository: Repository, tag: Tag) -> TagRecord | None:
        """Return the manifest that a tag leads to; None if the tag is not known."""
        rows = self._database.read(
            "SELECT digest, checked, bundle, signer, warning, due, rolled_back, gone FROM tags"
            " WHERE repository = ? AND tag = ?",
            (str(repository), tag.name),
        )
        if not rows:
            return None
        digest, checked, bundle, signer, warning, due, rolled_back, gone = rows[0]
        hold = TagHold(due, bool(rolled_back))
        gone = gone if gone > checked else 0.0
        return TagRecord(Digest.parse(digest), checked, bundle, signer, warning, hold, gone)

    def was_target(self, repository: Repository, tag: Tag, digest: Digest) -> bool:
        """Whether a client has pulled this manifest by this tag before, as far as is recorded."""
        query = "SELECT 1 FROM pulls WHERE digest = ? AND repository = ? AND reference = ? LIMIT 1"
        return bool(self._database.read(query, (str(digest), str(repository), tag.name)))

    def find_held(self, repository: Repository, digest: Digest) -> str | None:
        """Return the media type of a manifest; None if `repository` does not have the manifest."""
        rows = self._database.read(
            "SELECT media_type FROM holdings JOIN manifests USING (digest)"
            " WHERE repository = ? AND digest = ?",
            (str(repository), str(digest)),
        )
        return str(rows[0][0]) if rows else None

    def find_media_type(self, digest: Digest) -> str | None:
        """Return the media type of a known manifest of any repository; None if it is not known."""
        rows = self._database.read(
            "SELECT media_type FROM manifests WHERE digest = ?", (str(digest),)
        )
        return str(rows[0][0]) if rows else None

    def is_stored(self, digest: Digest) -> bool:
        """Whether the bytes of a manifest are recorded as stored."""
        return bool(self._database.read("SELECT 1 FROM blobs WHERE digest = ?", (str(digest),)))

    def list_damaged(self) -> frozenset[Digest]:
        """Return the manifests that were found damaged, and have not been stored again since."""
        rows = self._database.read(
            "SELECT digest FROM quarantine JOIN manifests USING (digest)"
            " WHERE digest NOT IN (SELECT digest FROM blobs)"
        )
        return frozenset(Digest.parse(row[0]) for row in rows)

    def names_child(self, repository: Repository, digest: Digest) -> bool:
        """Whether an index that `repository` has lists this manifest."""
        return bool(
            self._database.read(
                "SELECT 1 FROM links CROSS JOIN holdings ON holdings.digest = links.parent"
                " WHERE child = ? AND is_manifest AND repository = ? LIMIT 1",
                (str(digest), str(repository)),
            )
        )

    async def record(
        self,
        repository: Repository,
        manifest: Manifest,
        tag: Tag | None,
        now: float,
        *,
        bundle: str = "",
        signer: str = "",
        warning: str = "",
        hold: TagHold = NO_HOLD,
        with_blobs: bool = False,
    ) -> None:
        """Record that `repository` has `manifest`, and that `tag` leads to it, confirmed at `now`.

        If a bundle confirms it, `bundle` is the id of the bundle, and `signer` the name of the key
        that signed the bundle. If an upstream confirms it, both are empty. `warning` is what
        clients are told about the tag, and `hold` why it does not follow its upstream. The manifest
        counts as delivered by its registry, and `with_blobs` the stored blobs that it refers to do
        too.
        """
        delivered = [manifest.digest]
        if with_blobs:
            delivered += [blob.digest for blob in manifest.blobs]

        def change(rows: sqlite3.Connection) -> None:
            _insert_manifest(rows, manifest)
            insert_stored(rows, delivered, repository.registry, now)
            rows.execute(
                "INSERT OR IGNORE INTO holdings VALUES (?, ?, ?)",
                (str(repository), str(manifest.digest), now),
            )
            if tag is not None:
                values = (str(repository), tag.name, str(manifest.digest), now)
                told = (bundle, signer, warning, hold.due, hold.is_rolled_back)
                query = "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
                rows.execute(query, values + told)

        await self._database.write(change)

    async def confirm_tag(
        self,
        repository: Repository,
        tag: Tag,
        digest: Digest,
        now: float,
        *,
        warning: str = "",
        hold: TagHold = NO_HOLD,
    ) -> None:
        """Record that an upstream was asked at `now`, and that the tag still leads to a manifest.

        `warning` is what clients are told about the tag, and `hold` why it does not follow its
        upstream. If the tag leads to another manifest here, or was rolled back or released
        meanwhile, nothing is changed.
        """
        values = (now, warning, hold.due, str(repository), tag.name, str(digest))
        await self._database.write(
            lambda rows: rows.execute(
                "UPDATE tags SET checked = ?, bundle = '', signer = '', warning = ?, due = ?"
                " WHERE repository = ? AND tag = ? AND digest = ? AND rolled_back = ?",
                (*values, hold.is_rolled_back),
            )
        )

    async def note_gone(self, repository: Repository, tag: Tag, now: float) -> None:
        """Record that an upstream said at `now` that it does not have a tag that is known here.

        If it has said so before, and nobody has confirmed the tag since, nothing is changed.

        Raises:
            StoreError: the catalog refused.
        """
        await self._database.write(
            lambda rows: rows.execute(
                "UPDATE tags SET gone = ? WHERE repository = ? AND tag = ? AND gone <= checked",
                (now, str(repository), tag.name),
            )
        )

    async def hold_tag(
        self, repository: Repository, tag: Tag, digest: Digest, hold: TagHold, warning: str = ""
    ) -> None:
        """Record why a tag that leads to this manifest does not follow its upstream.

        When it was last confirmed is not changed, nor is a tag that leads to another manifest.
        """
        values = (hold.due, hold.is_rolled_back, warning, str(repository), tag.name, str(digest))
        await self._database.write(
            lambda rows: rows.execute(
                "UPDATE tags SET due = ?, rolled_back = ?, warning = ?"
                " WHERE repository = ? AND tag = ? AND digest = ?",
                values,
            )
        )

    def has_tags(self, repository: Repository) -> bool:
        """Whether any tag of `repository` is known."""
        query = "SELECT 1 FROM tags WHERE repository = ? LIMIT 1"
        return bool(self._database.read(query, (str(repository),)))

    def list_tags(self, repository: Repository) -> list[str]:
        """Return the known tags of `repository`, in ASCII order."""
        rows = self._database.read(
            "SELECT tag FROM tags WHERE repository = ? ORDER BY tag", (str(repository),)
        )
        return [row[0] for row in rows]

    def list_repositories(self, after: str, most: int) -> list[str]:
        """Return repositories that have a manifest, as registry/name in ASCII order.

        They are the first `most` ones after the name `after`.
        """
        return [row[0] for row in self._database.read(_LIST_REPOSITORIES, (after, most))]

    def list_referrers(self, repository: Repository, subject: Digest) -> list[Referrer]:
        """Return the manifests of `repository` that refer to `subject`, in digest order."""
        rows = self._database.read(
            # CROSS JOIN, because SQLite would read all manifests of the repository first.
            "SELECT digest, media_type, size, artifact_type, annotations"
            " FROM manifests CROSS JOIN holdings USING (digest)"
            " WHERE subject = ? AND repository = ? ORDER BY digest",
            (str(subject), str(repository)),
        )
        return [
            Referrer(Descriptor(media_type, Digest.parse(digest), size), kind, json.loads(notes))
            for digest, media_type, size, kind, notes in rows
        ]


def _insert_manifest(rows: sqlite3.Connection, manifest: Manifest) -> None:
    parent = str(manifest.digest)
    rows.execute(
        "INSERT OR IGNORE INTO manifests VALUES (?, ?, ?, ?, ?, ?)",
        (
            parent,
            manifest.media_type,
            len(manifest.raw),
            str(manifest.subject.digest) if manifest.subject else None,
            manifest.artifact_type,
            json.dumps(dict(manifest.annotations)),
        ),
    )
    linked = [(child, True) for child in manifest.children]
    linked += [(child, False) for child in manifest.blobs]
    rows.executemany(
        "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?, ?)",
        [(parent, str(c.digest), is_manifest, c.media_type, c.size) for c, is_manifest in linked],
    )
