"""Images pulled through a mirror, and what of them is in its data folder."""

import json
import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.fakes.upstream import FakeUpstream, Image
from tests.fakes.upstream.content import digest_bytes
from tests.harness.large_layer import KIB
from tests.harness.mirror import MirrorProcess
from tests.harness.warming import WarmSite
from tests.integration.wire import fetch, list_tree, wait_until

# The time of storing may be written twice: the repair after a crash writes it too.
KNOWLEDGE = ("pins", "tags", "holdings", "links", "manifests")


def make_layer(seed: int, size: int = 64 * KIB) -> bytes:
    return random.Random(seed).randbytes(size)


def pull(mirror: MirrorProcess, *images: Image) -> list[str | None]:
    """Pull images and check every byte; return the origins of their blobs."""
    origins = []
    for image in images:
        base = f"{mirror.url}/v2/{image.repository}"
        answer = fetch(f"{base}/manifests/{image.tag or image.digest}")
        assert (answer.status, answer.body) == (200, image.manifest)
        for digest in image.blobs:
            blob = fetch(f"{base}/blobs/{digest}")
            assert (blob.status, digest_bytes(blob.body)) == (200, digest)
            origins.append(blob.origin)
    return origins


def keep(mirror: MirrorProcess, *images: Image) -> None:
    """Pull images, and wait until all of them is stored and recorded."""
    pull(mirror, *images)
    wanted = {digest for image in images for digest in (image.digest, *image.blobs)}
    wait_until(lambda: wanted <= read_stored(mirror.data).keys(), "all of it is recorded")


def ask(data: Path, query: str) -> list[tuple[Any, ...]]:
    """Read the catalog while other processes use it."""
    with closing(sqlite3.connect(data / "catalog.db")) as rows:
        return rows.execute(query).fetchall()


def read_stored(data: Path) -> dict[str, int]:
    """The recorded blobs with their sizes."""
    return dict(ask(data, "SELECT digest, size FROM blobs"))


def is_here(mirror: MirrorProcess | WarmSite, digests: Iterable[str]) -> bool:
    """Whether all of these are on disk."""
    folder = mirror.data / "blobs" / "sha256"
    encoded = [digest.partition(":")[2] for digest in digests]
    return all((folder / each[:2] / each).exists() for each in encoded)


def read_knowledge(data: Path) -> list[object]:
    """All that a command could have changed."""
    rows = [sorted(ask(data, f"SELECT * FROM {table}")) for table in KNOWLEDGE]
    rows.append(sorted(read_stored(data).items()))
    return [*rows, *(list_tree(data / room) for room in ("blobs", "spool", "tags", "quarantine"))]


def run_json(mirror: MirrorProcess, *arguments: str, code: int = 0) -> Any:
    """What a command prints with --json."""
    result = mirror.run(*arguments, "--json")
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def add_platforms(hub: FakeUpstream, repository: str) -> tuple[Image, Image, Image]:
    """An index `repository:1`, and its images for amd64 and arm64."""
    amd, arm = [
        hub.add_image(repository, None, [f"{repository} {arch}".encode()], platform=("linux", arch))
        for arch in ("amd64", "arm64")
    ]
    return hub.add_index(repository, "1", [amd, arm]), amd, arm


def read_sizes(*images: Image) -> dict[str, int]:
    """The sizes of all that images are made of."""
    sizes = {image.digest: len(image.manifest) for image in images}
    for image in images:
        sizes |= image.sizes
    return sizes


def warm(mirror: MirrorProcess, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Return the JSON of `images warm`: its images by name, and the whole document."""
    report = run_json(mirror, "images", "warm", "--platform", "amd64", *arguments, code=code)
    return {each["image"]: each for each in report["images"]} | {"": report}


def is_warm(mirror: MirrorProcess | WarmSite, *images: Image) -> bool:
    return is_here(mirror, [digest for image in images for digest in (image.digest, *image.blobs)])
