"""A catalog with very many images and blobs, none of which is on disk."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from registry.catalog.database import migrate
from registry.oci import media_types

TAGS = 10  # of each repository
SIZE = 1_000_000  # bytes of each blob
NOW = 1_790_000_000.0


def fill_catalog(path: Path, images: int, layers: int) -> None:
    """Write a new catalog with so many images, each with so many blobs of its own."""
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as rows:
        rows.execute("PRAGMA synchronous = OFF")
        rows.execute("BEGIN")
        rows.executemany(
            "INSERT INTO manifests VALUES (?, ?, 500, NULL, '', '{}')",
            ((name_manifest(number), media_types.OCI_MANIFEST) for number in range(images)),
        )
        rows.executemany(
            "INSERT INTO links VALUES (?, ?, 0, ?, ?)",
            (
                (name_manifest(number), blob, "application/vnd.oci.image.layer.v1.tar", SIZE)
                for number in range(images)
                for blob in name_blobs(number, layers)
            ),
        )
        rows.executemany(
            "INSERT INTO holdings VALUES (?, ?, ?)",
            ((name_repository(number), name_manifest(number), NOW) for number in range(images)),
        )
        rows.executemany(
            "INSERT INTO tags (repository, tag, digest, checked) VALUES (?, ?, ?, ?)",
            (
                (name_repository(number), f"1.{number % TAGS}", name_manifest(number), NOW)
                for number in range(images)
            ),
        )
        rows.executemany("INSERT INTO blobs VALUES (?, ?, ?)", _list_blobs(images, layers))
        rows.executemany(
            "INSERT INTO pulls VALUES (?, ?, ?, ?, ?)",
            (
                (
                    name_manifest(number),
                    name_repository(number),
                    f"1.{number % TAGS}",
                    f"10.0.{client}.{number % 250}",
                    NOW + number,
                )
                for number in range(images)
                for client in range(3)
            ),
        )
        rows.execute("UPDATE usage SET bytes = (SELECT SUM(size) FROM blobs)")
        rows.execute("COMMIT")


def name_repository(number: int) -> str:
    """Return the repository of an image."""
    return f"docker.io/team-{number // 1000}/app-{number // TAGS:05}"


def name_manifest(number: int) -> str:
    """Return the digest of the manifest of an image."""
    return f"sha256:{hashlib.sha256(f'manifest {number}'.encode()).hexdigest()}"


def name_blobs(number: int, layers: int) -> Iterator[str]:
    """Yield the digests of the blobs of an image."""
    for layer in range(layers):
        yield f"sha256:{hashlib.sha256(f'{number} {layer}'.encode()).hexdigest()}"


def _list_blobs(images: int, layers: int) -> Iterator[tuple[str, int, float]]:
    for number in range(images):
        yield name_manifest(number), 500, NOW
        for blob in name_blobs(number, layers):
            yield blob, SIZE, NOW
