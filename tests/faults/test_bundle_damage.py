"""A bundle that is damaged anywhere: verify says what is wrong, and import stores nothing wrong."""

import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.bundle.format.tar import BLOCK
from registry.bundle.load.result import Imported
from registry.bundle.read.open import open_paths
from registry.bundle.read.verify import Verdict, verify
from registry.errors import BundleInvalid
from tests.harness.bundles import write_bundle, write_volumes
from tests.harness.filled_folder import FilledFolder, open_filled
from tests.harness.sizes import list_sizes

SEED = 25
NAMES = ("docker.io/library/app:1", "ghcr.io/team/tool:2")
FLIPS = list_sizes(long=300, full=2000, seconds=1800)


@asynccontextmanager
async def open_source(path: Path) -> AsyncIterator[FilledFolder]:
    """A filled folder with an index of two platforms, and an image that shares a layer with it."""
    chance = random.Random(SEED)
    shared = chance.randbytes(3000)
    async with open_filled(path) as filled:
        app = "docker.io/library/app"
        amd = await filled.put_image(app, [shared, chance.randbytes(150_000)])
        arm = await filled.put_image(app, [shared, chance.randbytes(700)], platform="linux/arm64")
        await filled.put_index(f"{app}:1", {"linux/amd64": amd, "linux/arm64": arm})
        await filled.put_image("ghcr.io/team/tool:2", [shared, chance.randbytes(90_000)])
        yield filled


def examine(*paths: Path) -> Verdict | str:
    """Verify; what is wrong as a whole as text."""
    try:
        with open_paths(paths) as opened:
            return verify(opened)
    except BundleInvalid as error:
        return str(error)


async def load(filled: FilledFolder, *paths: Path) -> Imported | None:
    """Import; None where the bundle was refused."""
    try:
        with open_paths(paths) as opened:
            return await filled.content.importer.load(opened, lambda _: None)
    except BundleInvalid:
        return None


def find_wrong(filled: FilledFolder) -> list[Path]:
    """Return what is stored and is not what its name says."""
    return [
        path
        for path in (filled.path / "blobs").glob("*/*/*")
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name
    ]


def read_tags(filled: FilledFolder) -> list[str]:
    return sorted(p.name for p in (filled.path / "tags").glob("**/@/tag-*"))


async def check(tmp_path: Path, number: int, good: Sequence[Path], bad: Sequence[Path]) -> None:
    """Verify reports the damage, import stores nothing wrong, and the good bundle completes it."""
    verdict = examine(*bad)
    assert isinstance(verdict, str) or not verdict.is_whole, bad
    async with open_filled(tmp_path / f"there-{number}") as there:
        done = await load(there, *bad)
        assert find_wrong(there) == []
        if done is not None:
            assert done.is_whole or done.blobs.damaged or done.flaws or done.volumes
        done = await load(there, *good)
        assert done is not None
        assert done.is_whole, done
        assert find_wrong(there) == []
        assert read_tags(there) == ["tag-1", "tag-2"]


@pytest.mark.parametrize("count", FLIPS)
async def test_every_flipped_byte_is_reported(tmp_path: Path, count: int) -> None:
    """Whichever byte of a bundle is wrong, verifying says so; importing takes nothing wrong."""
    async with open_source(tmp_path / "here") as here:
        whole = await write_bundle(here, NAMES)
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    good.write_bytes(whole)
    verdict = examine(good)
    assert isinstance(verdict, Verdict)
    assert verdict.is_whole, verdict
    chance = random.Random(SEED)
    for number in range(count):
        place = chance.randrange(len(whole))
        # As many in headers and small files, which are few, as in blobs.
        place = place if number % 2 else chance.randrange(min(len(whole), 24 * BLOCK))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        bad.write_bytes(damaged)
        verdict = examine(bad)
        assert isinstance(verdict, str) or not verdict.is_whole, (place, verdict)
        if number % 10 == 0:
            await check(tmp_path, number, [good], [bad])


@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.programs)])
async def test_every_early_end_is_reported(tmp_path: Path, stride: int) -> None:
    """A bundle that ends at any block is not whole, and what it has is imported."""
    async with open_source(tmp_path / "here") as here:
        whole = await write_bundle(here, NAMES)
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    good.write_bytes(whole)
    ends = range(0, len(whole), BLOCK * stride)
    for number, end in enumerate(ends):
        bad.write_bytes(whole[:end])
        verdict = examine(bad)
        assert isinstance(verdict, str) or not verdict.is_whole, (end, verdict)
        if number * stride % 42 == 0:
            await check(tmp_path, number, [good], [bad])


async def test_each_volume_may_be_missing_or_damaged(tmp_path: Path) -> None:
    """Verify names the missing volume by number, and the damaged one by file."""
    async with open_source(tmp_path / "here") as here:
        good = await write_volumes(here, NAMES, tmp_path, 96 * 1024)
    assert len(good) == 3
    verdict = examine(*good)
    assert isinstance(verdict, Verdict)
    assert verdict.is_whole, verdict
    chance = random.Random(SEED)
    for number, path in enumerate(good, 1):
        alone = examine(path)
        assert isinstance(alone, Verdict)
        assert (number, True) == (alone.number, alone.is_whole), alone

        others = [each for each in good if each != path]
        verdict = examine(*others)
        assert isinstance(verdict, Verdict)
        assert [number] == verdict.volumes
        await check(tmp_path, number, good, others)

        content = bytearray(path.read_bytes())
        for turn in range(20):
            damaged, place = bytearray(content), chance.randrange(len(content))
            damaged[place] ^= 1
            bad = tmp_path / f"bad-{number}.tar"
            bad.write_bytes(damaged)
            found = examine(bad)
            assert isinstance(found, str) or not found.is_whole, place
            verdict = examine(*others, bad)
            assert isinstance(verdict, Verdict)
            assert not verdict.is_whole, place
            if turn == 0:
                assert bad.name in str(verdict), verdict
                await check(tmp_path, 100 + number, good, [*others, bad])
            bad.unlink()


@asynccontextmanager
async def open_large(path: Path) -> AsyncIterator[FilledFolder]:
    """A filled folder with two images, of which layers are larger than some volumes."""
    chance = random.Random(SEED)
    shared = chance.randbytes(3000)
    async with open_filled(path) as filled:
        for name, size in zip(NAMES, (450_000, 230_000), strict=True):
            await filled.put_image(name, [shared, chance.randbytes(size), chance.randbytes(40_000)])
        yield filled


@pytest.mark.parametrize("order", ["in order", "reversed", *range(6)])
async def test_volumes_one_after_the_other(tmp_path: Path, order: str | int) -> None:
    """Each volume given once and alone, in any order, brings the same as all of them together."""
    async with open_large(tmp_path / "here") as here:
        volumes = await write_volumes(here, NAMES, tmp_path, 96 * 1024)
    assert len(volumes) > 6
    if order == "reversed":
        volumes.reverse()
    elif isinstance(order, int):
        random.Random(order).shuffle(volumes)
    total = known = 0
    for number, path in enumerate(volumes, 1):
        async with open_filled(tmp_path / "there") as there:  # as a new process does
            done = await load(there, path)
            assert done is not None
            total, known = total + done.blobs.new, known + done.blobs.known
            assert done.is_whole == (number == len(volumes)), done
            assert find_wrong(there) == []
    with open_paths(volumes) as opened:
        assert (total, known) == (opened.lock.size, 0)
    assert read_tags(there) == ["tag-1", "tag-2"]
    assert [*(tmp_path / "there" / "spool").iterdir()] == []


async def test_only_the_damaged_volume_is_copied_again(tmp_path: Path) -> None:
    """All volumes but one are right: its right copy alone completes what the others brought."""
    async with open_large(tmp_path / "here") as here:
        good = await write_volumes(here, NAMES, tmp_path, 96 * 1024)
    for number, path in enumerate(good):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        (bad := tmp_path / "bad.tar").write_bytes(content)
        async with open_filled(tmp_path / f"there-{number}") as there:
            done = await load(there, *good[:number], bad, *good[number + 1 :])
            assert done is not None
            assert all(place.endswith(str(bad)) for place in done.blobs.damaged.values())
            assert len(done.blobs.damaged) == 1
            assert not done.is_whole
            done = await load(there, path)
            assert done is not None
            assert done.is_whole, done
            assert find_wrong(there) == []


async def test_what_was_whole_before_is_not_imported_again(tmp_path: Path) -> None:
    """An image is known when it was here by its name before, and else it is new."""
    async with open_source(tmp_path / "here") as here:
        volumes = await write_volumes(here, NAMES, tmp_path, 96 * 1024)
    known = []
    async with open_filled(tmp_path / "there") as there:
        for path in [*volumes, volumes[0]]:
            done = await load(there, path)
            assert done is not None
            known.append((len(done.images), len(done.known)))
    assert known[-2:] == [(2, known[-3][0]), (2, 2)]
