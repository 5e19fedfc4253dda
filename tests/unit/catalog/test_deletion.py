"""Laws of removals: only what no other image needs is deleted."""

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
    """Return the tag by which cosign names a signature of a manifest."""
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
    """If an image shares nothing, its manifest and all its blobs are deleted."""
    await site.pull(HERE, AMD, "1")
    assert await plan(site, "1") == Deletion(
        HERE, frozenset({Tag("1")}), frozenset({AMD.digest}), sizes_of(AMD)
    )


async def test_planning_changes_nothing(site: Site) -> None:
    """A plan changes nothing: a second plan is the same."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD)
    before = await site.images.load()
    assert await plan(site, "1") == await plan(site, "1")
    assert before == await site.images.load()


async def test_an_unknown_tag_removes_only_itself(site: Site) -> None:
    """A tag without a manifest is deleted alone, also if a crash left its row."""
    await site.pull(HERE, AMD, "1")
    removal = await plan(site, "2")
    assert (removal.manifests, removal.blobs) == (frozenset(), {})
    assert (await plan(site, "1", repository=THERE)).manifests == frozenset()
    assert (await plan(site, AMD.digest, repository=THERE)).manifests == frozenset()


async def test_a_manifest_with_another_tag_stays(site: Site) -> None:
    """A manifest with two tags is deleted only together with the last tag."""
    await site.pull(HERE, AMD, "1", "2")

    first = await plan(site, "1")
    assert (first.manifests, first.blobs) == (frozenset(), {})
    both = await plan(site, "1", "2")
    assert (both.manifests, both.blobs) == (digests_of(AMD), sizes_of(AMD))
    await site.removal.apply(first)
    assert (await plan(site, "2")).blobs == sizes_of(AMD)


async def test_a_manifest_goes_with_all_its_tags(site: Site) -> None:
    """A removal by digest deletes all tags of this manifest, and no other tag."""
    await site.pull(HERE, AMD, "1", "2")
    await site.pull(HERE, OTHER, "3")
    removal = await plan(site, AMD.digest)
    assert removal.tags == tags_of(["1", "2"])
    assert removal.manifests == digests_of(AMD)


async def test_shared_layers_stay(site: Site) -> None:
    """A layer of two images is deleted only if both images are removed."""
    await site.pull(HERE, AMD, "1")
    await site.pull(THERE, OTHER, "1")
    shared = Digest.of(b"shared")
    assert shared not in (await plan(site, "1")).blobs
    await site.pull(HERE, OTHER, "2")
    await site.removal.apply(await plan(site, "1", repository=THERE))
    assert shared not in (await plan(site, "1")).blobs
    assert shared in (await plan(site, "1", "2")).blobs


async def test_an_index_takes_its_manifests_along(site: Site) -> None:
    """Everything below an index is deleted with it, even if it was never pulled."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD)

    removal = await plan(site, "1")

    assert removal.manifests == digests_of(INDEX, AMD), "the other child is not here"
    assert removal.blobs == sizes_of(INDEX, AMD)


async def test_a_child_with_a_name_or_an_index_of_its_own_stays(site: Site) -> None:
    """A child stays if a tag or another index of the repository leads to it."""
    second = make_index(ARM, kind="second")
    for image, tag in ((INDEX, "1"), (AMD, "amd"), (second, "2")):
        await site.pull(HERE, image, tag)
    await site.pull(HERE, ARM)

    assert (await plan(site, "1")).manifests == digests_of(INDEX)
    assert (await plan(site, "1", "2")).manifests == digests_of(INDEX, ARM, second)
    assert (await plan(site, "1", "2", "amd")).manifests == digests_of(INDEX, ARM, AMD, second)


async def test_a_child_stays_with_its_index(site: Site) -> None:
    """A manifest is not removed if an index that stays lists it."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD, "amd")
    by_tag = await plan(site, "amd")
    by_digest = await plan(site, AMD.digest)
    for removal in (by_tag, by_digest):
        assert (removal.manifests, removal.blobs) == (frozenset(), {})


async def test_diamonds_go_whole(site: Site) -> None:
    """A child of two indexes is deleted with both, in any order of the indexes."""
    inner = make_index(AMD, kind="inner")
    outer = make_index(AMD, inner, ARM, kind="outer")
    for image in (inner, AMD, ARM):
        await site.pull(HERE, image)
    await site.pull(HERE, outer, "1")
    assert (await plan(site, "1")).manifests == digests_of(outer, inner, AMD, ARM)


async def test_signatures_by_tag_go_along(site: Site) -> None:
    """Signatures and their signatures are deleted too, but no tag with a similar name."""
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
    """If an image keeps a second tag, its signatures stay."""
    await site.pull(HERE, AMD, "1", "2")
    await site.pull(HERE, make_image(b"signature"), attached_tag(AMD))
    removal = await plan(site, "1")
    assert (removal.tags, removal.manifests) == (tags_of(["1"]), set())


async def test_referrers_go_along(site: Site) -> None:
    """Manifests whose subject is removed are deleted too, unless a tag leads to them."""
    proof = make_image(b"proof", subject=AMD)
    kept = make_image(b"kept", subject=AMD)
    await site.pull(HERE, AMD, "1")
    await site.pull(HERE, proof)
    await site.pull(HERE, kept, "kept")
    assert (await plan(site, "1")).manifests == digests_of(AMD, proof)


async def test_another_repository_keeps_the_bytes(site: Site) -> None:
    """If two repositories have a manifest, only one loses it; its bytes stay."""
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
    """The bytes of a manifest stay if an index of another repository lists it."""
    await site.pull(THERE, INDEX, "1")
    await site.pull(HERE, AMD, "1")
    assert AMD.digest not in (await plan(site, "1")).blobs


async def test_applying_forgets_every_row(site: Site) -> None:
    """Rows of the removed image are deleted; the rows of other images do not change."""
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
    unneeded = await site.removal.list_unneeded([removal])
    assert {each.digest: each.size for each in unneeded} == removal.blobs


async def test_what_was_pulled_meanwhile_is_needed_again(site: Site) -> None:
    """A blob of a removal is not deleted if a new image needs it by now."""
    await site.pull(HERE, AMD, "1")
    removal = await plan(site, "1")
    await site.pull(THERE, OTHER, "1")
    await site.removal.apply(removal)

    unneeded = await site.removal.list_unneeded([removal])

    assert {each.digest for each in unneeded} == set(removal.blobs) - {Digest.of(b"shared")}
