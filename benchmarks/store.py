"""A store that looks as if much had been pulled: catalog rows made directly, files made quickly.

Manifests are real (their bytes agree with their digests, so they can be served); blobs are sparse
files of the right size with names that nothing hashes to, since nobody reads them.
"""

import hashlib
import json
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.catalog.database import migrate
from registry.store.data_folder import open_folder
from tests.fakes.upstream.images import CONFIG, GZIP_LAYER, MANIFEST, build_manifest, describe

PER_REPOSITORY = 10  # manifests
BLOB = 1 << 20  # bytes that a sparse file seems to have
MOST_FILES = 200_000  # beyond that the catalog knows blobs that have no file
BATCH = 10_000


@dataclass(frozen=True)
class Known:
    """One manifest: the n-th of its repository's."""

    repository: str
    tag: str
    digest: str
    raw: bytes
    blobs: tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """What was put into a data folder."""

    blobs: int
    manifests: int

    def sample(self, count: int) -> list[str]:
        """Return the paths of some manifests, by digest, never the same twice."""
        chance = random.Random()  # noqa: S311 - another choice every time, so no memory helps
        numbers = chance.sample(range(self.manifests), count)
        each = self.blobs // self.manifests
        known = (make_manifest(number, each) for number in numbers)
        return [f"/v2/{one.repository}/manifests/{one.digest}" for one in known]


def make_manifest(number: int, blobs: int) -> Known:
    """Make the n-th manifest, with so many blobs of its own; the same one every time."""
    names = tuple(_name_blob(number * blobs + offset) for offset in range(max(1, blobs)))
    kinds = (CONFIG["docker"], *[GZIP_LAYER["docker"]] * (len(names) - 1))
    config, *layers = (describe(kind, name, BLOB) for kind, name in zip(kinds, names, strict=True))
    raw = build_manifest(MANIFEST["docker"], {"config": config, "layers": layers})
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    place, tag = divmod(number, PER_REPOSITORY)
    return Known(f"bench/r{place}", f"v{tag}", digest, raw, names)


def fill_store(data: Path, blobs: int, manifests: int) -> Store:
    """Make a data folder in which this much is known; at most `MOST_FILES` blobs have files."""
    folder = open_folder(data)
    migrate(folder.catalog)
    each = blobs // manifests
    connection = sqlite3.connect(folder.catalog)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        for start in range(0, manifests, BATCH):
            numbers = range(start, min(start + BATCH, manifests))
            known = [make_manifest(number, each) for number in numbers]
            _record(connection, known)
            for one in known:
                _write(folder.blobs, one.digest, one.raw)
        for number in range(min(blobs, MOST_FILES)):
            _write(folder.blobs, _name_blob(number), None)
        connection.execute("UPDATE usage SET bytes = (SELECT SUM(size) FROM blobs)")
        connection.commit()
    finally:
        connection.close()
    return Store(blobs, manifests)


def _name_blob(number: int) -> str:
    return "sha256:" + hashlib.sha256(f"blob {number}".encode()).hexdigest()


def _record(connection: sqlite3.Connection, known: list[Known]) -> None:
    now = time.time()
    insert = "INSERT OR REPLACE INTO"
    connection.executemany(
        f"{insert} manifests VALUES (?, ?, ?, NULL, '', ?)",
        ((one.digest, MANIFEST["docker"], len(one.raw), json.dumps({})) for one in known),
    )
    connection.executemany(
        f"{insert} holdings VALUES (?, ?, ?)", ((_holder(one), one.digest, now) for one in known)
    )
    connection.executemany(
        f"{insert} tags (repository, tag, digest, checked) VALUES (?, ?, ?, ?)",
        ((_holder(one), one.tag, one.digest, now) for one in known),
    )
    connection.executemany(f"{insert} links VALUES (?, ?, 0, ?, ?)", _list_links(known))
    connection.executemany(
        f"{insert} blobs VALUES (?, ?, ?)",
        ((digest, BLOB, now) for one in known for digest in one.blobs),
    )
    connection.executemany(
        f"{insert} blobs VALUES (?, ?, ?)", ((one.digest, len(one.raw), now) for one in known)
    )


def _holder(known: Known) -> str:
    return f"docker.io/{known.repository}"


def _list_links(known: list[Known]) -> Iterator[tuple[str, str, str, int]]:
    for one in known:
        for digest in one.blobs:
            yield one.digest, digest, GZIP_LAYER["docker"], BLOB


def _write(blobs: Path, digest: str, content: bytes | None) -> None:
    algorithm, encoded = digest.split(":")
    folder = blobs / algorithm / encoded[:2]
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / encoded, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o444)
    try:
        if content is None:
            os.ftruncate(descriptor, BLOB)
        else:
            os.write(descriptor, content)
    finally:
        os.close(descriptor)
