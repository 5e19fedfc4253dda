"""A bundle from one data folder to another, and each step between."""

from pathlib import Path

import pytest

from registry.bundle.format.head_files import write_head
from registry.bundle.format.lock import ImageRequest
from registry.bundle.read.blob_store import BundleStore
from registry.bundle.read.open import open_paths
from registry.bundle.read.verify import verify
from registry.bundle.write.choice import Choice
from registry.bundle.write.layout import Contents, list_whole, pack
from registry.bundle.write.writer import write_file, write_folder
from registry.catalog.deliveries import DeliveryCatalog
from registry.errors import BundleInvalid, StoreError
from registry.oci.digest import Digest
from registry.store.local import DiskStore
from tests.harness.filled_folder import open_filled, split

LAYER = bytes(range(256)) * 1000


async def test_a_bundle_is_written_and_imported(tmp_path: Path) -> None:
    """An image of two platforms is planned, written, verified and imported, and is then stored."""
    async with open_filled(tmp_path / "here") as here:
        amd = await here.put_image("docker.io/library/app", [LAYER, b"amd"])
        arm = await here.put_image("docker.io/library/app", [LAYER, b"arm"], platform="linux/arm64")
        await here.put_index("docker.io/library/app:1", {"linux/amd64": amd, "linux/arm64": arm})
        repository, tag = split("docker.io/library/app:1")
        plan = await here.content.planner.plan(
            [ImageRequest(repository, tag)], Choice("subset", ("linux/amd64",))
        )
        assert plan.failures == {}
        contents = Contents(
            write_head(plan.lock, plan.manifests), list_whole(plan.lock), here.store
        )
        output: list[int] = []
        await write_file(contents, tmp_path / "b.tar", output.append)
        await write_folder(contents, tmp_path / "b", output.append)
        assert (tmp_path / "b.tar").stat().st_size == contents.measure()
        assert sum(output) == 2 * plan.lock.size

    for path in ("b.tar", "b"):
        with open_paths([tmp_path / path]) as opened:
            assert opened.lock == plan.lock
            verdict = verify(opened)
            assert verdict.is_whole, verdict

    async with open_filled(tmp_path / "there") as there:
        with open_paths([tmp_path / "b.tar"]) as opened:
            done = await there.content.importer.load(opened, lambda _: None)
        assert done.is_whole, done
        assert done.blobs.new == plan.lock.size
        deliveries = DeliveryCatalog(there.content._database)
        for digest, _ in plan.lock.blobs:
            assert deliveries.list_registries(digest) == {"docker.io"}, "an import delivers"
        with open_paths([tmp_path / "b"]) as opened:
            done = await there.content.importer.load(opened, lambda _: None)
        assert (done.is_whole, done.blobs.new) == (True, 0)
    with open_paths([tmp_path / "b.tar"]) as opened:
        store = BundleStore.over(opened, tmp_path)
    async for _, size in store.scan():
        assert size


async def test_a_failed_import_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a blob cannot be made durable, the next one, whose bytes have come, is not locked."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image("docker.io/library/app:1", [LAYER, b"other layer"])
        repository, tag = split("docker.io/library/app:1")
        plan = await here.content.planner.plan(
            [ImageRequest(repository, tag)], Choice("complete", ())
        )
        contents = Contents(
            write_head(plan.lock, plan.manifests), list_whole(plan.lock), here.store
        )
        await write_file(contents, tmp_path / "b.tar", lambda _: None)

    async def refuse(*_: object) -> None:
        raise StoreError("blobs", "read-only file system")

    monkeypatch.setattr(DiskStore, "adopt", refuse)
    async with open_filled(tmp_path / "there") as there:
        with open_paths([tmp_path / "b.tar"]) as opened, pytest.raises(StoreError):
            await there.content.importer.load(opened, lambda _: None)
        ingests = [there.content.content.try_ingest(digest) for digest, _ in plan.lock.blobs]
        assert len(ingests) > 1
        assert None not in ingests
        for ingest in filter(None, ingests):
            await ingest.suspend()


async def test_a_damaged_blob_is_not_cut(tmp_path: Path) -> None:
    """A damaged blob is not cut into parts, although each part would have a right digest."""
    large = b"large" * 1_000_000
    async with open_filled(tmp_path / "here") as here:
        await here.put_image("docker.io/library/app:1", [large])
        repository, tag = split("docker.io/library/app:1")
        assert tag is not None
        plan = await here.content.planner.plan(
            [ImageRequest(repository, tag)], Choice("subset", ("linux/amd64",))
        )
        digest = Digest.of(large)
        file = here.path / "blobs" / "sha256" / digest.encoded[:2] / digest.encoded
        file.chmod(0o644)
        file.write_bytes(b"X" + large[1:])
        with pytest.raises(BundleInvalid, match="changed on disk"):
            await pack(plan.lock, plan.manifests, here.store).fill(1_000_000)
