"""Laws of expiry: images that no client pulls are removed in time; pinned and used ones stay."""

import math
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from registry.catalog.last_used import LastUses
from registry.catalog.pins import Root
from registry.content.expiry import Expiry, choose_period, find_expired
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
OTHER = make_image(b"other-config")
A, B, C, D = (Digest.of(name) for name in (b"a", b"b", b"c", b"d"))
WEEK = 604_800.0
ALL = {"*": WEEK}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def expire(site: Site, keep_for: Mapping[str, float] = ALL) -> set[str]:
    """Let images expire, and return the names of the remaining images."""
    await Expiry(site.uses, site.content.deletion, keep_for, site.clock).expire()
    return {image.reference for image in (await site.images.load()).images}


async def pull_again(site: Site, image: Image) -> None:
    await site.note_pulls((HERE, image.digest, site.now))


@pytest.mark.parametrize(
    ("age", "is_expired"), [(9.9, False), (10.0, False), (10.1, True), (-99.0, False)]
)
def test_time_decides(age: float, is_expired: bool) -> None:
    """An image that was used within the period, or in the future, has not expired."""
    expired = find_expired(LastUses({(HERE, A): 100.0}, []), {"*": 10.0}, 100.0 + age)
    assert expired == ([(HERE, A)] if is_expired else [])


def test_without_a_pattern_nothing_expires() -> None:
    """Images of a repository that no pattern matches never expire."""
    uses = LastUses({(HERE, A): 0.0, (THERE, A): 0.0}, [])
    assert find_expired(uses, {}, 1e12) == []
    assert find_expired(uses, {"ghcr.io/*": 1.0}, 1e12) == [(THERE, A)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ghcr.io/team/app", 30.0),
        ("ghcr.io/team/app/part", 20.0),
        ("ghcr.io/other", 10.0),
        ("docker.io/library/nginx", 1.0),
        ("docker.io/library/redis", math.inf),
    ],
)
def test_the_longest_pattern_decides(name: str, expected: float) -> None:
    """Of all patterns that match a repository, the longest counts, in any order."""
    patterns = {
        "ghcr.io/*": 10.0,
        "ghcr.io/team/app": 30.0,
        "ghcr.io/team/*": 20.0,
        "*/nginx": 1.0,
    }
    repository = Repository(*name.split("/", 1))
    assert choose_period(patterns, repository) == expected
    assert choose_period(dict(reversed(patterns.items())), repository) == expected


def test_a_child_keeps_its_index_and_its_siblings() -> None:
    """A pull of one platform counts as a use of the index, and of all that it lists."""
    uses = LastUses(
        {(HERE, A): 0.0, (HERE, B): 100.0, (HERE, C): 0.0, (HERE, D): 0.0}, [(A, B), (A, C)]
    )
    for indexes in (uses.indexes, uses.indexes[::-1]):
        assert find_expired(LastUses(uses.last, indexes), {"*": 10.0}, 105.0) == [(HERE, D)]


def test_an_index_in_use_keeps_its_children() -> None:
    """A pull of an index counts as a use of all manifests that it lists."""
    uses = LastUses({(HERE, A): 100.0, (HERE, B): 0.0, (HERE, C): 0.0}, [(A, B), (A, C)])
    assert find_expired(uses, {"*": 10.0}, 105.0) == []


def test_an_index_counts_within_its_repository() -> None:
    """A use in another repository does not count; a missing child does not matter."""
    last = {(HERE, A): 0.0, (HERE, B): 0.0, (THERE, A): 100.0, (THERE, B): 0.0}
    expired = find_expired(LastUses(last, [(A, B), (A, C), (D, B)]), {"*": 10.0}, 105.0)
    assert expired == [(HERE, A), (HERE, B)]


@pytest.mark.parametrize("order", [1, -1])
def test_indexes_of_indexes_count_too(order: int) -> None:
    """A use of a manifest counts for all indexes above it, in any order of the pairs."""
    chain = [(A, B), (B, C), (C, D)][::order]
    last = {(HERE, A): 0.0, (HERE, B): 0.0, (HERE, C): 0.0, (HERE, D): 100.0}
    assert find_expired(LastUses(last, chain), {"*": 10.0}, 105.0) == []


async def test_what_expires_goes_with_all_of_it(site: Site) -> None:
    """The names, blobs and rows of an expired image are deleted."""
    for image in (INDEX, AMD, ARM):
        await site.pull(HERE, image, *(["1"] if image is INDEX else []))
    site.now += WEEK
    assert await expire(site) == {"1"}
    site.now += 1
    assert await expire(site) == set()
    assert (site.measure(), site.catalog.used()) == (0, 0)
    assert [found async for found in site.references.scan()] == []


async def test_what_is_pulled_stays(site: Site) -> None:
    """A pull of the index or of one platform keeps the whole image for another period."""
    for image in (INDEX, AMD, ARM):
        await site.pull(HERE, image, *(["1"] if image is INDEX else []))
    await site.pull(HERE, OTHER, "2")
    before = site.list_files()
    for image in (ARM, INDEX):
        site.now += WEEK
        await pull_again(site, image)
        site.now += WEEK
        assert await expire(site) == {"1"}
    gone = {Digest.of(each).encoded for each in (OTHER.manifest.raw, *OTHER.blobs)}
    assert site.list_files() == before - gone


async def test_what_is_pinned_stays(site: Site) -> None:
    """A pinned image stays although no client pulls it, and other images expire."""
    for number, image in enumerate((AMD, OTHER)):
        await site.pull(HERE, image, str(number))
    await site.put_pin(HERE, Tag("0"), [Root(AMD.digest, True)], 1.0)
    site.now += 2 * WEEK
    assert await expire(site) == {"0"}
    assert site.catalog.used() == site.measure() > 0


async def test_a_pinned_platform_keeps_its_index(site: Site) -> None:
    """A pin of one platform keeps the index and that platform."""
    for image in (INDEX, AMD, ARM):
        await site.pull(HERE, image, *(["1"] if image is INDEX else []))
    roots = [Root(INDEX.digest, False), Root(AMD.digest, True, "linux/amd64")]
    await site.put_pin(HERE, Tag("1"), roots, 1.0)
    site.now += 2 * WEEK
    assert await expire(site) == {"1"}
    assert site.is_here(Digest.of(b"amd"))
    assert site.manifests.find_held(HERE, AMD.digest) is not None


async def test_repositories_expire_on_their_own(site: Site) -> None:
    """An image can expire in one repository, and stay with its bytes in another."""
    for repository in (HERE, THERE):
        await site.pull(repository, AMD, str(repository.registry))
    before = site.list_files()
    site.now += 2 * WEEK
    assert await expire(site, {"docker.io/*": WEEK}) == {"ghcr.io"}
    assert site.list_files() == before


async def test_a_moved_tag_leaves_what_expires(site: Site) -> None:
    """The old image of a moved tag expires in its time, and the new image stays."""
    await site.pull(HERE, AMD, "1")
    site.now += WEEK
    await site.pull(HERE, OTHER, "1")
    site.now += 1
    assert await expire(site) == {"1"}
    assert site.manifests.find_held(HERE, AMD.digest) is None
    assert site.manifests.find_held(HERE, OTHER.digest) is not None


def test_nothing_is_wanted_without_patterns(tmp_path: Path) -> None:
    """Without `keep_for` there is nothing to expire."""

    def is_wanted(keep_for: Mapping[str, float]) -> bool:
        return Expiry(None, None, keep_for, lambda: 0.0).is_wanted  # type: ignore[arg-type]

    assert is_wanted(ALL)
    assert not is_wanted({})
