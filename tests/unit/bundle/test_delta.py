"""A delta contains the layers that changed, and no others."""

import random
from pathlib import Path

from registry.bundle.format.lock import ImageRequest
from registry.bundle.write.choice import Choice
from registry.bundle.write.layout import pack
from registry.oci.digest import Digest
from tests.harness.filled_folder import FilledFolder, open_filled, split

KIB = 1024
COUNT = 15  # images


async def plan_all(filled: FilledFolder, have: frozenset[Digest]) -> tuple[int, dict[Digest, int]]:
    """Plan a bundle of all images; return the size of its tar, and its blobs."""
    requests = [ImageRequest(*_name(number)) for number in range(COUNT)]
    plan = await filled.content.planner.plan(requests, Choice("subset", ("linux/amd64",), have))
    assert plan.failures == {}
    (archive,) = await pack(plan.lock, plan.manifests, filled.store).fill()
    return archive.measure(), plan.lock.sizes


def _name(number: int):
    repository, tag = split(f"docker.io/team/i{number}:1")
    assert tag is not None
    return repository, tag


async def test_a_delta_has_the_one_changed_layer_of_many_images(tmp_path: Path) -> None:
    """The delta has the changed layer, all manifests and all configs, and 1 % more at most."""
    chance = random.Random(1)
    base = chance.randbytes(256 * KIB)
    async with open_filled(tmp_path) as filled:
        for number in range(COUNT):
            layers = [base, chance.randbytes(64 * KIB)]
            await filled.put_image(f"docker.io/team/i{number}:1", layers)
        full, before = await plan_all(filled, frozenset())
        changed = chance.randbytes(8 * KIB * KIB)
        manifest = await filled.put_image("docker.io/team/i7:1", [base, changed])
        size, blobs = await plan_all(filled, frozenset(before))

    small = {digest: each for digest, each in blobs.items() if digest != Digest.of(changed)}
    carried = len(changed) + sum(small.values())
    assert manifest.digest in blobs
    assert len(small) == 2 * COUNT
    assert max(small.values()) < KIB
    assert size < 1.01 * carried, (size, carried)
    assert full > (256 + 64 * COUNT) * KIB
