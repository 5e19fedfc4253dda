"""Laws of removals: what goes is all that only the removed image needed, and nothing else."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from registry.catalog.deletion import Deletion
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from tests.unit.content.content_site import (
    HERE,
    THERE,
    Image,
    Site,
    make_image,
    make_index,
    open_site,
)

AMD, ARM = (
    make_image(b"amd-config", b"shared", b"amd"),
    make_image(b"arm-config", b"shared", b"arm"),
)
INDEX = make_index(AMD, ARM)
OTHER = make_image(b"other-config", b"shared")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


def attached_tag(image: Image, suffix: str = ".sig") -> str:
    """Return the tag by which cosign names what belongs to an image."""
    return f"sha256-{image.digest.encoded}{suffix}"


def sizes_of(*images: Image) -> dict[Digest, int]:
    contents = [each for image in images for each in (image.manifest.raw, *image.blobs)]
    return {Digest.of(each): len(each) for each in contents}


def digests_of(*images: Image) -> set[Digest]:
    return {image.digest for image in images}


def tags_of(names: Iterable[str]) -> set[Tag]:
    return set(map(Tag, names))


async def plan(site: Site, *names: str | Digest, repository: Repository = HERE) -> Deletion:
    """Plan the removal of some tags and digests of one repository."""
    references = [name if isinstance(name, Digest) else Tag(name) for name in names]
    plan = await site.removal.plan((repository, reference) for reference in references)
    (removal,) = plan.removals
    return removal


async def test_an_image_goes_with_its_blobs(site: Site) -> None:
    """Of an image that shares nothing the manifest and all blobs go, with their sizes."""
    await site.pull(HERE, AMD, "1")
    assert await plan(site, "1") == Deletion(
        HERE, frozenset({Tag("1")}), frozenset({AMD.digest}), sizes_of(AMD)
    )


async def test_planning_changes_nothing(site: Site) -> None:
    """A plan is only said: planned twice, it is the same."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD)
    before = await site.images.load()
    assert await plan(site, "1") == await plan(site, "1")
    assert before == await site.images.load()


async def test_an_unknown_tag_removes_only_itself(site: Site) -> None:
    """What is not there takes nothing with it; a row that a crash left still goes."""
    await site.pull(HERE, AMD, "1")
    removal = await plan(site, "2")
    assert (removal.manifests, removal.blobs) == (frozenset(), {})
    assert (await plan(site, "1", repository=THERE)).manifests == frozenset()
    assert (await plan(site, AMD.digest, repository=THERE)).manifests == frozenset()


async def test_a_manifest_with_another_tag_stays(site: Site) -> None:
    """Of two tags on one manifest the first to go takes nothing along, the last takes all."""
    await site.pull(HERE, AMD, "1", "2")

    first = await plan(site, "1")
    assert (first.manifests, first.blobs) == (frozenset(), {})
    both = await plan(site, "1", "2")
    assert (both.manifests, both.blobs) == (digests_of(AMD), sizes_of(AMD))
    await site.removal.apply(first)
    assert (await plan(site, "2")).blobs == sizes_of(AMD)


async def test_a_manifest_goes_with_all_its_tags(site: Site) -> None:
    """Removing by digest removes every name of it, and no other name."""
    await site.pull(HERE, AMD, "1", "2")
    await site.pull(HERE, OTHER, "3")
    removal = await plan(site, AMD.digest)
    assert removal.tags == tags_of(["1", "2"])
    assert removal.manifests == digests_of(AMD)


async def test_shared_layers_stay(site: Site) -> None:
    """A layer that another image has stays; with both images it goes."""
    await site.pull(HERE, AMD, "1")
    await site.pull(THERE, OTHER, "1")
    shared = Digest.of(b"shared")
    assert shared not in (await plan(site, "1")).blobs
    await site.pull(HERE, OTHER, "2")
    await site.removal.apply(await plan(site, "1", repository=THERE))
    assert shared not in (await plan(site, "1")).blobs
    assert shared in (await plan(site, "1", "2")).blobs


async def test_an_index_takes_its_manifests_along(site: Site) -> None:
    """All that is under an index goes with it, whether or not all of it was ever pulled."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD)

    removal = await plan(site, "1")

    assert removal.manifests == digests_of(INDEX, AMD), "the other child is not here"
    assert removal.blobs == sizes_of(INDEX, AMD)


async def test_a_child_with_a_name_or_an_index_of_its_own_stays(site: Site) -> None:
    """What a tag or another index of the repository leads to is not removed with an index."""
    second = make_index(ARM, kind="second")
    for image, tag in ((INDEX, "1"), (AMD, "amd"), (second, "2")):
        await site.pull(HERE, image, tag)
    await site.pull(HERE, ARM)

    assert (await plan(site, "1")).manifests == digests_of(INDEX)
    assert (await plan(site, "1", "2")).manifests == digests_of(INDEX, ARM, second)
    assert (await plan(site, "1", "2", "amd")).manifests == digests_of(INDEX, ARM, AMD, second)


async def test_a_child_stays_with_its_index(site: Site) -> None:
    """A manifest that an index which stays refers to is not removed from under it."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD, "amd")
    by_tag = await plan(site, "amd")
    by_digest = await plan(site, AMD.digest)
    for removal in (by_tag, by_digest):
        assert (removal.manifests, removal.blobs) == (frozenset(), {})


async def test_diamonds_go_whole(site: Site) -> None:
    """A child of two indexes goes when both do, in whatever order they are looked at."""
    inner = make_index(AMD, kind="inner")
    outer = make_index(AMD, inner, ARM, kind="outer")
    for image in (inner, AMD, ARM):
        await site.pull(HERE, image)
    await site.pull(HERE, outer, "1")
    assert (await plan(site, "1")).manifests == digests_of(outer, inner, AMD, ARM)


async def test_signatures_by_tag_go_along(site: Site) -> None:
    """What cosign named after an image goes with it, and what belongs to that, but no near name."""
    signature, deeper = make_image(b"signature"), make_image(b"deeper")
    await site.pull(HERE, AMD, "1")
    await site.pull(HERE, signature, attached_tag(AMD), attached_tag(AMD, ""))
    await site.pull(HERE, deeper, attached_tag(signature, ".att"))
    await site.pull(HERE, OTHER, attached_tag(AMD, "0"), attached_tag(ARM))

    removal = await plan(site, "1")

    names = ["1", attached_tag(AMD), attached_tag(AMD, ""), attached_tag(signature, ".att")]
    assert removal.tags == tags_of(names)
    assert removal.manifests == digests_of(AMD, signature, deeper)


async def test_signatures_of_what_stays_stay(site: Site) -> None:
    """A tag that goes from an image with a second tag leaves its signatures alone."""
    await site.pull(HERE, AMD, "1", "2")
    await site.pull(HERE, make_image(b"signature"), attached_tag(AMD))
    removal = await plan(site, "1")
    assert (removal.tags, removal.manifests) == (tags_of(["1"]), set())


async def test_referrers_go_along(site: Site) -> None:
    """What has a removed manifest as its subject goes too, unless a tag leads there."""
    proof = make_image(b"proof", subject=AMD)
    kept = make_image(b"kept", subject=AMD)
    await site.pull(HERE, AMD, "1")
    await site.pull(HERE, proof)
    await site.pull(HERE, kept, "kept")
    assert (await plan(site, "1")).manifests == digests_of(AMD, proof)


async def test_another_repository_keeps_the_bytes(site: Site) -> None:
    """A manifest that two repositories hold is forgotten in one, and no byte of it goes."""
    for repository in (HERE, THERE):
        await site.pull(repository, INDEX, "1")
        await site.pull(repository, AMD)
    removal = await plan(site, "1")
    assert (removal.manifests, removal.blobs) == (digests_of(INDEX, AMD), {})

    await site.removal.apply(removal)

    assert site.manifests.find_held(HERE, AMD.digest) is None
    assert site.manifests.find_held(THERE, AMD.digest) is not None
    last = await plan(site, "1", repository=THERE)
    assert last.blobs == sizes_of(INDEX, AMD)


async def test_what_an_index_elsewhere_names_stays(site: Site) -> None:
    """A manifest that is only promised by another repository's index keeps its bytes."""
    await site.pull(THERE, INDEX, "1")
    await site.pull(HERE, AMD, "1")
    assert AMD.digest not in (await plan(site, "1")).blobs


async def test_applying_forgets_every_row(site: Site) -> None:
    """Names, holdings, pulls, links and manifests go; what others have is untouched."""
    await site.pull(HERE, OTHER, "2")
    before = await site.images.load()
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD)
    await site.note_pulls((HERE, INDEX.digest, 9.0))
    removal = await plan(site, "1")

    await site.removal.apply(removal)
    await site.removal.apply(removal)  # as after a crash

    after = await site.images.load()
    assert (after.images, after.links) == (before.images, before.links)
    assert after.media_types == before.media_types
    assert site.database.read("SELECT * FROM pulls") == []
    assert await site.removal.list_unneeded([removal]) == removal.blobs


async def test_what_was_pulled_meanwhile_is_needed_again(site: Site) -> None:
    """A blob of a removal that a new image has come to need is unneeded no more."""
    await site.pull(HERE, AMD, "1")
    removal = await plan(site, "1")
    await site.pull(THERE, OTHER, "1")
    await site.removal.apply(removal)

    unneeded = await site.removal.list_unneeded([removal])

    assert set(unneeded) == set(removal.blobs) - {Digest.of(b"shared")}
