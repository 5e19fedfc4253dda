"""Which manifests and blobs a pull marks as used, and which ones a pin keeps."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from tests.unit.content.content_site import Site, make_image, make_index, open_site

HERE, THERE = Repository("docker.io", "team/app"), Repository("docker.io", "evil/app")
AMD, ARM = make_image(b"amd-config", b"amd-layer"), make_image(b"arm-config", b"arm-layer")
INDEX = make_index(AMD, ARM, platforms=("linux/amd64", "linux/arm64"))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def list_coldest(site: Site) -> list[Digest]:
    return [blob.digest for blob in await site.catalog.list_coldest()]


async def test_an_index_warms_all_that_is_under_it(site: Site) -> None:
    """A pull of an index marks the layers of all its images as used."""
    for image in (AMD, ARM, INDEX):
        await site.pull(HERE, image, "1")
    other = await site.fill(b"pulled after them, and never again")
    await site.note_pulls((HERE, INDEX.digest, site.now + 100))

    assert (await list_coldest(site))[0] == other
    assert {blob.used for blob in await site.catalog.list_coldest() if blob.digest != other} == {
        site.now + 100
    }


async def test_another_repository_cannot_have_its_images_kept(site: Site) -> None:
    """A pin keeps the signatures of its own repository only."""
    await site.pull(HERE, AMD, "1")
    ours = make_image(b"our-signature", subject=AMD)
    theirs = make_image(b"their-config", b"their-large-layer", subject=AMD)
    await site.pull(HERE, ours)
    await site.pull(THERE, theirs, f"sha256-{AMD.digest.encoded}.sig")
    await site.pin(HERE, Tag("1"))

    loose = set(await list_coldest(site))
    assert ours.digest not in loose
    assert {theirs.digest, *map(Digest.of, theirs.blobs)} <= loose
