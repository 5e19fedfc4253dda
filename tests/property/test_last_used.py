"""The stored time of a blob's last use against the log of use, from which it is derived."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.database import Database
from registry.catalog.last_used import LastUsedCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pulls import Pull, PullCatalog
from registry.catalog.usage import UsageCatalog
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from tests.unit.content.content_site import make_image, make_index

REPOSITORIES = (Repository("docker.io", "library/a"), Repository("ghcr.io", "team/a"))
LAYERS = tuple(f"layer {number}".encode() for number in range(3))
IMAGES = (
    make_image(b"config 0", LAYERS[0], LAYERS[1]),
    make_image(b"config 1", LAYERS[1], LAYERS[2]),
)
MANIFESTS = (*IMAGES, make_index(*IMAGES))
BELOW = {
    MANIFESTS[0].digest: {Digest.of(each) for each in IMAGES[0].blobs},
    MANIFESTS[1].digest: {Digest.of(each) for each in IMAGES[1].blobs},
}
BELOW[MANIFESTS[2].digest] = {*BELOW, *(blob for each in BELOW.values() for blob in each)}

pulls = st.builds(
    Pull,
    repository=st.sampled_from(REPOSITORIES),
    reference=st.sampled_from([Tag("1"), Tag("2")]),
    digest=st.sampled_from([each.digest for each in MANIFESTS]),
    client=st.sampled_from(["", "10.0.0.1", "10.0.0.2"]),
    pulled=st.integers(1, 50).map(float),
)


def find_use(digest: Digest, log: list[Pull]) -> float:
    """When the log says that a blob was last used; 0 if it never was."""
    times = [each.pulled for each in log if digest in {each.digest, *BELOW[each.digest]}]
    return max(times, default=0.0)


async def check(folder: Path, batches: list[list[Pull]], forgotten: float) -> None:
    async with Database(folder / "catalog.db") as database:
        manifests, usage, log = (
            ManifestCatalog(database),
            UsageCatalog(database),
            PullCatalog(database),
        )
        blobs = {blob for below in BELOW.values() for blob in below} | set(BELOW)
        for image in MANIFESTS:
            for repository in REPOSITORIES:
                await manifests.record(repository, image.manifest, None, 0.0)
        for blob in blobs:
            await usage.record(blob, 10, 0.0)
        for batch in batches:
            await log.record(batch)
        await log.forget(forgotten)
        everything = [pull for batch in batches for pull in batch]

        used = {each.digest: each.used for each in await usage.list_coldest()}
        assert used == {blob: find_use(blob, everything) for blob in blobs}
        last = (await LastUsedCatalog(database).list_all()).last
        for repository in REPOSITORIES:
            for image in MANIFESTS:
                own = [
                    each.pulled
                    for each in everything
                    if (each.repository, each.digest) == (repository, image.digest)
                ]
                assert last[repository, image.digest] == max(own, default=0.0)


@given(st.lists(st.lists(pulls, min_size=1, max_size=4), max_size=4), st.integers(0, 60))
def test_the_time_of_last_use_is_what_the_log_says(
    batches: list[list[Pull]], forgotten: int
) -> None:
    """In whatever order pulls are recorded, and whichever are forgotten, both say the same."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder), batches, forgotten))
