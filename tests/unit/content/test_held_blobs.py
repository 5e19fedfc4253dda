"""A download that brings nothing, and holds a blob, holds up nobody who has its bytes already."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.oci import media_types
from registry.oci.manifest import parse_manifest
from registry.store.data_folder import open_folder
from registry.store.ingests import Ingests
from tests.harness.filled_folder import NOW, FilledFolder, open_filled, split

APP = "docker.io/library/app:1"
SOON = 3.0  # seconds; less than a manifest waits for another writer


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[FilledFolder]:
    async with open_filled(tmp_path / "here") as filled:
        yield filled


async def test_a_manifest_is_stored_though_its_digest_is_held(filled: FilledFolder) -> None:
    """A client may ask a slow registry for the blob that has the digest of a manifest."""
    raw = b'{"schemaVersion": 2, "manifests": []}'
    manifest = parse_manifest(raw, media_types.OCI_INDEX)
    writer = Ingests(open_folder(filled.path).ingests).take(manifest.digest)
    assert writer is not None
    writer.append([raw[:10]])

    repository, tag = split(APP)
    async with asyncio.timeout(SOON):
        assert await filled.content.manifests.keep(repository, manifest, tag, NOW)

    assert await filled.store.stat(manifest.digest) == len(raw)
    assert writer.received == 10
    writer.close()
