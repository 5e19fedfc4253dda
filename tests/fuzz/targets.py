"""What is fuzzed: each target is given bytes, and may only refuse them with a declared error."""

import asyncio
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from structlog.testing import capture_logs

from registry.bundle.format.inventory import read_inventory, write_inventory, write_need
from registry.bundle.format.lock import parse_lock
from registry.bundle.format.volumes import parse_volume
from registry.bundle.load.import_log import ImportLog
from registry.bundle.read.head import open_bundle
from registry.bundle.read.open import open_paths
from registry.bundle.read.sources import TarSource
from registry.bundle.read.verify import verify
from registry.errors import EntrepotError
from registry.image_lists.detection import Kind, find_images
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.store.data_folder import DataFolder, find_folder
from registry.store.file_locks import ExclusiveLocks
from registry.store.ingests import IngestInfo, Ingests
from registry.store.sparse import read_record
from registry.store.tags import TagTarget
from tests.fuzz import access_targets, connections, requests
from tests.fuzz.connections import Servers
from tests.fuzz.rebuilding import rebuild, restamp
from tests.fuzz.requests import read_request
from tests.fuzz.seeds import LISTS, make_archives, make_manifests
from tests.fuzz.upstream_targets import READERS
from tests.harness.filled_folder import open_filled

Look = Callable[[bytes], None]
BLOB = Digest.of(b"blob")


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
def read_requests() -> Iterator[Look]:
    """Read the parts of a request that aiohttp does not read."""
    yield read_request


@contextmanager
def read_accesses() -> Iterator[Look]:
    """Read what says who asks."""
    yield access_targets.read_access


@contextmanager
def compare_connections() -> Iterator[Look]:
    """Answer the same bytes with repeated answers and without: no byte differs."""
    with capture_logs() as logged, asyncio.Runner() as runner:
        servers = runner.run(_make_servers())

        def look(raw: bytes) -> None:
            runner.run(servers.compare(raw))
            logged.clear()

        yield look


@contextmanager
def rebuild_catalogs() -> Iterator[Look]:
    """Start after a lost catalog, with the input in each small file of the data folder."""
    places = tempfile.TemporaryDirectory()
    with places as name, asyncio.Runner() as runner, capture_logs() as logged:
        place = Path(name) / "filled"
        opening = open_filled(place)
        filled = runner.run(opening.__aenter__())
        folder = DataFolder(place)
        spool = folder.ingests / f"sha256-{BLOB.encoded}.part"

        def look(raw: bytes) -> None:
            tag = folder.tags / "docker.io" / "library" / "a" / "@" / "tag-1"
            tag.parent.mkdir(parents=True, exist_ok=True)
            for path in (tag, folder.pins, folder.imports, spool.with_suffix(".json")):
                path.write_bytes(raw)
            spool.with_suffix(".ranges").write_bytes(raw)
            runner.run(filled.content.rebuild.recover(1.0))
            info = Ingests(folder.ingests).read_info(BLOB)
            assert info is None or info.size is None or info.size >= 0
            read_record(spool.with_suffix(".pieces"), 10, 10)
            runner.run(ImportLog(folder.imports, ExclusiveLocks(folder.locks), lambda: 1.0).read())
            with refused():
                (place / "LAYOUT").write_bytes(raw)
                find_folder(place)
            logged.clear()

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


async def _make_servers() -> Servers:
    return Servers()


def list_documents() -> list[bytes]:
    """Return documents of each kind."""
    blobs = [(Digest.of(b"x"), 1)]
    lists = [write_inventory(blobs), write_need("sha256:0", ["docker.io/library/a:1"], blobs)]
    return lists + make_manifests()


def list_small_files() -> list[bytes]:
    """Return the content of each kind of small file."""
    target = TagTarget(str(BLOB), media_types.OCI_MANIFEST, 1.0, "sha256:0", "maker.pem")
    roots = [{"digest": str(BLOB), "deep": True, "platform": ""}]
    pin = {"repository": "docker.io/a", "reference": "1", "made": 1.0, "roots": roots}
    documents = [
        asdict(target),
        [pin],
        [{"bundle": "sha256:0", "time": 1.0, "requires": ["sha256:1"]}],
        asdict(IngestInfo(4, "docker.io/a", "https://a", 1.0, ("https://b",))),
        {"whole": 10, "kept": [[0, 4], [5, 10]]},
        1,
    ]
    return [json.dumps(each).encode() for each in documents]


TARGETS = {
    "access": Target(read_accesses, lambda: access_targets.SEEDS),
    "archives": Target(read_archives, make_archives),
    "documents": Target(read_documents, list_documents),
    "import": Target(load_archives, make_archives),
    "connections": Target(compare_connections, lambda: connections.SEEDS),
    "lists": Target(read_lists, lambda: LISTS),
    "requests": Target(read_requests, lambda: requests.SEEDS),
    "small files": Target(rebuild_catalogs, list_small_files),
} | {name: Target(reader, partial(list, seeds)) for name, (reader, seeds) in READERS.items()}
