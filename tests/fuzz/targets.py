"""What is fuzzed: each target is given bytes, and may only refuse them with a declared error."""

import asyncio
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from registry.bundle.format.inventory import read_inventory, write_inventory, write_need
from registry.bundle.format.lock import parse_lock
from registry.bundle.format.volumes import parse_volume
from registry.bundle.read.head import open_bundle
from registry.bundle.read.open import open_paths
from registry.bundle.read.sources import TarSource
from registry.bundle.read.verify import verify
from registry.errors import EntrepotError
from registry.image_lists.detection import Kind, find_images
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from tests.fuzz.rebuilding import rebuild, restamp
from tests.fuzz.seeds import LISTS, make_archives, make_manifests
from tests.fuzz.upstream_targets import READERS
from tests.harness.filled_folder import open_filled

Look = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Target:
    """What is given bytes, and what it is given first."""

    open: Callable[[], AbstractContextManager[Look]]
    seeds: Callable[[], list[bytes]]


@contextmanager
def read_archives() -> Iterator[Look]:
    """Verify as a stream: as it is, and made whole again."""

    def look(raw: bytes) -> None:
        for each in (raw, rebuild(raw)):
            with refused():
                verify(open_bundle(TarSource(io.BytesIO(each), "fuzz")))

    yield look


@contextmanager
def read_documents() -> Iterator[Look]:
    """Read every document of a bundle, with ids that fit."""

    def look(raw: bytes) -> None:
        for kind in (media_types.OCI_INDEX, media_types.OCI_MANIFEST, media_types.DOCKER_LIST):
            with refused():
                parse_manifest(raw, kind)
        with refused():
            parse_lock(restamp("bundle.json", raw))
        with refused():
            parse_volume(restamp("volume.json", raw), "fuzz")
        with refused():
            read_inventory(raw, "fuzz")

    yield look


@contextmanager
def read_lists() -> Iterator[Look]:
    """Read a list of images as whatever it looks like, and as everything that it could be."""

    def look(raw: bytes) -> None:
        for kind in (None, *Kind):
            with refused():
                find_images(raw, "fuzz", kind=kind, variables={"TAG": "1"})

    yield look


@contextmanager
def load_archives() -> Iterator[Look]:
    """Import into a store: what is kept is what its name says, and nothing is written beside it."""
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        place, archive = Path(name) / "filled", Path(name) / "archive.tar"
        opening = open_filled(place)
        filled = runner.run(opening.__aenter__())

        def look(raw: bytes) -> None:
            archive.write_bytes(rebuild(raw))
            with refused(), open_paths([archive]) as opened:
                runner.run(filled.content.importer.load(opened, lambda _: None))
            assert {each.name for each in Path(name).iterdir()} == {"filled", "archive.tar"}
            for blob in (place / "blobs").glob("*/*/*"):
                assert hashlib.new(blob.parts[-3], blob.read_bytes()).hexdigest() == blob.name
                blob.unlink()

        yield look
        runner.run(opening.__aexit__(None, None, None))


@contextmanager
def refused() -> Iterator[None]:
    """Let it be refused, in one line that a terminal prints and does not obey."""
    why = ""
    try:
        yield
    except EntrepotError as error:
        why = str(error)
    assert not why or why.isprintable(), repr(why)


def list_documents() -> list[bytes]:
    """Return documents of each kind."""
    blobs = [(Digest.of(b"x"), 1)]
    lists = [write_inventory(blobs), write_need("sha256:0", ["docker.io/library/a:1"], blobs)]
    return lists + make_manifests()


TARGETS = {
    "archives": Target(read_archives, make_archives),
    "documents": Target(read_documents, list_documents),
    "import": Target(load_archives, make_archives),
    "lists": Target(read_lists, lambda: LISTS),
} | {name: Target(reader, partial(list, seeds)) for name, (reader, seeds) in READERS.items()}
