"""A download that brings nothing, and holds a blob, holds up nobody who has its bytes already."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.bundle.load import blobs as blobs_module
from registry.bundle.read.open import open_paths
from registry.content import ingest as ingest_module
from registry.content import writer_life
from registry.errors import StoreError
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.store.data_folder import open_folder
from registry.store.ingests import IngestInfo, Ingests
from registry.store.partial import PartialWriter
from registry.store.sparse import SparsePartial
from tests.harness.bundles import write_bundle, write_volumes
from tests.harness.filled_folder import NOW, FilledFolder, open_filled, split

APP = "docker.io/library/app:1"
LAYER = bytes(range(256)) * 1000
MANY = 5  # more than a file changes by being made and written at once
SOON = 3.0  # seconds; less than a manifest waits for another writer


def hold(filled: FilledFolder, digest: Digest) -> PartialWriter:
    """Write a blob as a download does that never gets its second byte."""
    ingests = Ingests(open_folder(filled.path).ingests)
    writer = ingests.take(digest)
    assert writer is not None
    writer.append([b"ab"])
    ingests.write_info(digest, IngestInfo(None, "evil.example/a", "there", NOW, (), str(digest)))
    return writer


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[FilledFolder]:
    async with open_filled(tmp_path / "here") as filled:
        yield filled


async def test_a_manifest_is_stored_though_its_digest_is_held(filled: FilledFolder) -> None:
    """A client may ask a slow registry for the blob that has the digest of a manifest."""
    raw = b'{"schemaVersion": 2, "manifests": []}'
    manifest = parse_manifest(raw, media_types.OCI_INDEX)
    writer = hold(filled, manifest.digest)

    repository, tag = split(APP)
    async with asyncio.timeout(SOON):
        assert await filled.content.manifests.keep(repository, manifest, tag, NOW)

    assert await filled.store.stat(manifest.digest) == len(raw)
    writer.close()


async def test_an_import_does_not_wait_for_downloads(filled: FilledFolder, tmp_path: Path) -> None:
    """An import has all bytes of a whole blob: it writes them beside a download."""
    image = await filled.put_image(APP, [LAYER])
    path = tmp_path / "b.tar"
    path.write_bytes(await write_bundle(filled, [APP]))
    async with open_filled(tmp_path / "there") as there:
        writers = [hold(there, each) for each in (Digest.of(LAYER), image.digest)]
        with open_paths([path]) as opened:
            async with asyncio.timeout(SOON):
                done = await there.content.importer.load(opened, lambda _: None)

        assert not done.blobs.damaged
        assert await there.store.stat(Digest.of(LAYER)) == len(LAYER)
        assert await there.store.stat(image.digest) == len(image.raw)
        for writer in writers:
            writer.close()


async def test_an_import_of_parts_does_not_wait_for_ever(
    filled: FilledFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are written to the place of the download; its error says what to do."""
    monkeypatch.setattr(blobs_module, "WAIT", 0.05)
    await filled.put_image(APP, [LAYER])
    volumes = await write_volumes(filled, [APP], tmp_path, 96 * 1024)
    async with open_filled(tmp_path / "there") as there:
        writer = hold(there, Digest.of(LAYER))
        with open_paths(volumes) as opened:
            async with asyncio.timeout(SOON):
                with pytest.raises(StoreError, match=r"from evil\.example/a .* restart the server"):
                    await there.content.importer.load(opened, lambda _: None)
        writer.close()


@pytest.mark.parametrize(
    ("writer", "step"),
    [(PartialWriter, "seal"), (SparsePartial, "add"), (SparsePartial, "seal")],
)
async def test_an_import_shows_that_it_lives(
    filled: FilledFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    writer: type[PartialWriter | SparsePartial],
    step: str,
) -> None:
    """Who waits for a blob that is being imported does not take the import for stopped."""
    for module in (writer_life, ingest_module):
        monkeypatch.setattr(module, "INTERVAL", 0.01)
    await filled.put_image(APP, [LAYER])
    volumes = await write_volumes(filled, [APP], tmp_path, 96 * 1024)
    go_on, work = threading.Event(), getattr(writer, step)

    def take_long(*args: object) -> object:
        go_on.wait(20)
        return work(*args)

    monkeypatch.setattr(writer, step, take_long)
    async with open_filled(tmp_path / "there") as there:
        with open_paths(volumes) as opened:
            importing = asyncio.create_task(there.content.importer.load(opened, lambda _: None))
            signs = await count_signs(Ingests(open_folder(there.path).ingests))
            go_on.set()
            await importing
        assert await there.store.stat(Digest.of(LAYER)) == len(LAYER)
    assert signs > MANY


async def count_signs(ingests: Ingests) -> int:
    """Watch the blobs that are being written; return the most signs that one of them has shown."""
    signs: dict[Digest, set[int]] = {}
    for _ in range(300):
        for part in ingests.list_running():
            reader = ingests.open(part)
            if reader is not None:
                with reader:
                    signs.setdefault(part, set()).add(reader.progress().touched)
        if max(map(len, signs.values()), default=0) > MANY:
            break
        await asyncio.sleep(0.01)
    return max(map(len, signs.values()), default=0)
