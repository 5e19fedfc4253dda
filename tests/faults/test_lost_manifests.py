"""A manifest that a worker has in memory, and whose bytes are gone, is stored again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.faults.consistency import await_consistency, blob_file
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

PULLS = 4


def damage_it(mirror: MirrorProcess, image: Image) -> None:
    """Change a byte of it, and let an audit find that."""
    path = blob_file(mirror.data, image.digest)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    assert mirror.run("cache", "audit").returncode == 1


def evict_it(mirror: MirrorProcess, image: Image) -> None:
    assert mirror.run("cache", "evict", "--to", "0").returncode == 0


def remove_it(mirror: MirrorProcess, image: Image) -> None:
    assert mirror.run("images", "rm", f"{image.repository}:1").returncode == 0


LOSSES = {each.__name__: each for each in (damage_it, evict_it, remove_it)}


def make_url(mirror: MirrorProcess, image: Image, reference: str) -> str:
    return f"{mirror.url}/v2/{image.repository}/manifests/{reference}"


@pytest.fixture
def image(hub: FakeUpstream) -> Image:
    return hub.add_image("team/app", "1", [b"layer" * 999])


@pytest.fixture
def mirror(make_mirror: MirrorMaker, image: Image) -> MirrorProcess:
    """A mirror whose workers have the manifest in memory, by its tag and by its digest."""
    mirror = make_mirror({"tags": {"fresh_for": "1h"}, "storage": {"audit_rate": 0}})
    for _ in range(3 * PULLS):
        for reference in ("1", image.digest):
            assert fetch(make_url(mirror, image, reference)).body == image.manifest
    await_consistency(mirror.data)
    return mirror


@pytest.mark.parametrize("by_tag", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_manifest_that_is_pulled_is_stored_again(
    mirror: MirrorProcess, image: Image, hub: FakeUpstream, loss: str, by_tag: bool
) -> None:
    """It is served all the time, and after a restart without a network too."""
    lose: Callable[[MirrorProcess, Image], None] = LOSSES[loss]
    lose(mirror, image)
    url = make_url(mirror, image, "1" if by_tag else image.digest)
    path = blob_file(mirror.data, image.digest)

    for _ in range(PULLS):
        assert fetch(url).body == image.manifest
    wait_until(lambda: fetch(url).body == image.manifest and is_right(path, image), "it is stored")

    await_consistency(mirror.data)
    mirror.stop()
    hub.stop()
    mirror.start("--offline")
    assert fetch(make_url(mirror, image, "1" if by_tag else image.digest)).body == image.manifest


def is_right(path: Path, image: Image) -> bool:
    return path.exists() and path.read_bytes() == image.manifest


def test_a_damaged_manifest_is_stored_again_without_a_pull(
    mirror: MirrorProcess, image: Image, hub: FakeUpstream
) -> None:
    """What is right in memory replaces what is damaged on the disk, and no upstream is asked."""
    hub.journal.clear()
    damage_it(mirror, image)
    wait_until(lambda: is_right(blob_file(mirror.data, image.digest), image), "it is stored")
    assert len(hub.journal) == 0
    assert mirror.run("cache", "audit").returncode == 0
