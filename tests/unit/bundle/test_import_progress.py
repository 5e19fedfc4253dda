"""An import reports every piece that it reads, and a cancelled one ends within a blob."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.bundle.format.head_files import write_head
from registry.bundle.format.lock import ImageRequest
from registry.bundle.load.result import Imported
from registry.bundle.read import sources
from registry.bundle.read.open import open_paths
from registry.bundle.write.choice import Choice
from registry.bundle.write.layout import Contents, list_whole, pack
from registry.bundle.write.writer import write_file
from tests.harness.filled_folder import FilledFolder, open_filled, split

LAYER = bytes(range(256)) * 1000
PIECE = 4096


@pytest.fixture(params=["one file", "volumes"])
async def bundle(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """A bundle of one image, whose layer is read in many pieces."""
    monkeypatch.setattr(sources, "PIECE", PIECE)
    async with open_filled(tmp_path / "here") as here:
        await here.put_image("docker.io/library/app:1", [LAYER])
        image = ImageRequest(*split("docker.io/library/app:1"))
        plan = await here.content.planner.plan([image], Choice("complete", ()))
        archives = [
            Contents(write_head(plan.lock, plan.manifests), list_whole(plan.lock), here.store)
        ]
        if request.param == "volumes":
            archives = await pack(plan.lock, plan.manifests, here.store).fill(100_000)
        paths = [tmp_path / f"{number}.tar" for number in range(len(archives))]
        for path, contents in zip(paths, archives, strict=True):
            await write_file(contents, path, lambda _: None)
    return paths


async def load(there: FilledFolder, paths: list[Path], report: Callable[[int], None]) -> Imported:
    with open_paths(paths) as opened:
        return await there.content.importer.load(opened, report)


async def test_every_piece_is_reported(tmp_path: Path, bundle: list[Path]) -> None:
    """The bytes of one large layer are reported while they are read, also if they are known."""
    async with open_filled(tmp_path / "there") as there:
        for _ in range(2):
            reported: list[int] = []
            done = await load(there, bundle, reported.append)
            assert sum(reported) == done.blobs.new + done.blobs.known > len(LAYER)
            if done.blobs.new:
                assert max(reported) <= PIECE


async def test_a_cancelled_import_ends_within_a_blob(tmp_path: Path, bundle: list[Path]) -> None:
    """It does not read the rest of a blob, and the next import counts what this one has stored."""
    loop, reported = asyncio.get_running_loop(), [0]
    async with open_filled(tmp_path / "there") as there:

        def report(size: int) -> None:
            reported[0] += size
            if reported[0] > len(LAYER) // 2 and not importing.cancelling():
                loop.call_soon_threadsafe(importing.cancel)
                for _ in range(1000):  # until the event loop has cancelled it
                    time.sleep(0 if importing.cancelling() else 0.001)

        importing = asyncio.create_task(load(there, bundle, report))
        with pytest.raises(asyncio.CancelledError):
            await importing
        assert reported[0] <= len(LAYER) // 2 + 2 * PIECE

        with open_paths(bundle) as opened:
            size = opened.lock.size
            preview = await there.content.importer.preview(opened)
        done = await load(there, bundle, lambda _: None)
    assert done.blobs.new + done.blobs.known == size
    assert (preview.blobs.new, preview.blobs.known) == (done.blobs.new, done.blobs.known)
    assert done.blobs.known > len(LAYER) // 4
