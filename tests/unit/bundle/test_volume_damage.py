"""Verification names only the damaged volumes of a blob that is cut over several."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.bundle.read.open import open_paths
from registry.bundle.read.verify import verify
from tests.harness.bundles import write_volumes
from tests.harness.filled_folder import open_filled

APP = "docker.io/library/app:1"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


@pytest.mark.parametrize("damage", [flip, cut_off])
async def test_only_the_damaged_volume_is_named(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """The digests of the parts say it, also if all volumes are given."""
    async with open_filled(tmp_path / "here") as here:
        await here.put_image(APP, [os.urandom(300_000)])
        volumes = await write_volumes(here, [APP], tmp_path, 96 * 1024)
    assert len(volumes) > 3
    damage(volumes[2])

    with open_paths(volumes) as opened:
        verdict = verify(opened)

    assert [each.place for each in verdict.damaged] == [str(volumes[2])]
    assert all(str(volumes[2]) in sentence for sentence in verdict.wrong)
