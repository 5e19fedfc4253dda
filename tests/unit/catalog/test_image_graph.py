"""Laws of the graph of all images: names, references, and what is stored."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.image_graph import Graph, Link, NamedImage
from registry.oci import media_types
from registry.oci.digest import Digest
from tests.unit.content.content_site import (
    HERE,
    THERE,
    Image,
    Site,
    make_image,
    make_index,
    open_site,
)

AMD, ARM = make_image(b"amd-config", b"shared", b"amd"), make_image(b"arm-config", b"shared")
INDEX = make_index(AMD, ARM)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def draw_names(site: Site) -> list[tuple[str, str, str]]:
    graph = await site.images.load()
    return [(image.repository, image.reference, image.digest) for image in graph.images]


def by_digest(image: Image) -> tuple[str, str, str]:
    return (str(HERE), str(image.digest), str(image.digest))


async def test_nothing_is_known_of_an_empty_folder(site: Site) -> None:
    """The graph of an empty catalog is empty."""
    assert await site.images.load() == Graph((), {}, {}, {})


async def test_every_tag_is_a_name(site: Site) -> None:
    """Two tags on one manifest are two names; then its digest is not a name."""
    await site.pull(HERE, AMD, "1", "latest")
    digest = str(AMD.digest)
    assert await draw_names(site) == [(str(HERE), "1", digest), (str(HERE), "latest", digest)]


async def test_what_has_no_other_name_is_named_by_its_digest(site: Site) -> None:
    """A manifest to which no tag and no index leads is named by its digest."""
    await site.pull(HERE, AMD, "1")
    assert by_digest(AMD) not in await draw_names(site)
    await site.pull(HERE, ARM, "1")
    assert by_digest(AMD) in await draw_names(site)
    assert by_digest(ARM) not in await draw_names(site)


async def test_the_manifests_of_an_index_are_no_names(site: Site) -> None:
    """A child is not a name in a repository that has its index; in others it is."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD)
    await site.pull(THERE, AMD)

    assert await draw_names(site) == [
        (str(HERE), "1", str(INDEX.digest)),
        (str(THERE), str(AMD.digest), str(AMD.digest)),
    ]


async def test_pulls_are_of_one_repository(site: Site) -> None:
    """A pull counts only for the image of the repository that was pulled from."""
    for repository, now in ((HERE, 1000.0), (THERE, 2000.0)):
        site.now = now
        await site.pull(repository, AMD, "1")
        await site.pull(repository, ARM)
    await site.note_pulls((HERE, AMD.digest, 3000.0), (THERE, ARM.digest, 4000.0))

    by_tag, by_digest = str(AMD.digest), str(ARM.digest)
    assert (await site.images.load()).images == (
        NamedImage(str(HERE), "1", by_tag, seen=1000.0, pulled=3000.0),
        NamedImage(str(HERE), by_digest, by_digest, seen=1000.0, pulled=0),
        NamedImage(str(THERE), "1", by_tag, seen=2000.0, pulled=0),
        NamedImage(str(THERE), by_digest, by_digest, seen=2000.0, pulled=4000.0),
    )


async def test_links_and_sizes_are_those_recorded(site: Site) -> None:
    """References say whether they lead to a manifest; sizes are of stored blobs."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, ARM)

    graph = await site.images.load()

    children = {Link(str(each.digest), len(each.manifest.raw), True) for each in (AMD, ARM)}
    assert set(graph.links[str(INDEX.digest)]) == children
    blobs = {Link(str(Digest.of(each)), len(each), False) for each in ARM.blobs}
    assert set(graph.links[str(ARM.digest)]) == blobs
    assert str(AMD.digest) not in graph.links, "it is not known yet"
    assert graph.media_types == {
        str(INDEX.digest): media_types.OCI_INDEX,
        str(ARM.digest): media_types.OCI_MANIFEST,
    }
    assert graph.stored == {
        str(Digest.of(each)): len(each)
        for each in (*ARM.blobs, ARM.manifest.raw, INDEX.manifest.raw)
    }


async def test_reach_is_all_under_it_once(site: Site) -> None:
    """Everything below the roots is yielded once, also unknown children."""
    await site.pull(HERE, INDEX)
    await site.pull(HERE, AMD)
    graph = await site.images.load()

    reached = list(graph.reach(str(INDEX.digest), str(AMD.digest)))

    expected = {INDEX.digest, AMD.digest, ARM.digest, *map(Digest.of, AMD.blobs)}
    assert len(reached) == len(set(reached))
    assert set(reached) == {str(digest) for digest in expected}
    assert list(graph.reach()) == []
