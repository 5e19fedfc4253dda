"""Laws of pins: a pin keeps an image, all below it, and what refers to it; and nothing else."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from registry.catalog.database import migrate
from registry.catalog.pins import Pin, Root, index_pins, is_kept, put_pins
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import (
    HERE,
    THERE,
    Image,
    Site,
    make_image,
    make_index,
    open_site,
)

TAG = Tag("1")
AMD, ARM = (
    make_image(b"amd-config", b"shared", b"amd"),
    make_image(b"arm-config", b"shared", b"arm"),
)
INDEX = make_index(AMD, ARM, platforms=("linux/amd64", "linux/arm64"))
OTHER = make_image(b"other-config", b"shared")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


def deep(image: Image) -> Root:
    return Root(image.digest, is_deep=True)


def all_of(*images: Image) -> set[Digest]:
    return {each for image in images for each in (image.digest, *map(Digest.of, image.blobs))}


async def test_a_pin_is_found_as_it_was_put(site: Site) -> None:
    """A pin that is read has the name, roots and time with which it was put."""
    roots = (Root(AMD.digest, True, "linux/amd64"), Root(INDEX.digest, False))
    await site.put_pin(HERE, TAG, roots, 5.0)

    (found,) = site.pins.list_all()

    assert found == Pin(HERE, TAG, tuple(sorted(roots, key=lambda root: str(root.digest))), 5.0)
    assert found.name == "docker.io/library/a:1"


async def test_pinning_again_forgets_the_former_image(site: Site) -> None:
    """A second pin of a name replaces the first; the first image may be evicted."""
    await site.pull(HERE, AMD)
    await site.pull(HERE, ARM)
    await site.put_pin(HERE, TAG, [deep(AMD)], 1.0)
    await site.put_pin(HERE, TAG, [deep(ARM)], 2.0)

    assert [pin.roots for pin in site.pins.list_all()] == [(deep(ARM),)]
    assert await site.list_evictable() == all_of(AMD) - all_of(ARM)


async def test_unpinning_is_of_one_name(site: Site) -> None:
    """An image with two pins is kept until both are removed."""
    await site.pull(HERE, AMD)
    names = [(HERE, TAG), (THERE, TAG)]
    for name in names:
        await site.put_pin(*name, [deep(AMD)], 1.0)

    assert await site.pins.remove([names[0]])
    assert not await site.pins.remove([names[0]])
    assert await site.list_evictable() == set()
    assert await site.pins.remove([names[1]])
    assert await site.list_evictable() == all_of(AMD)


async def test_pins_are_listed_by_name(site: Site) -> None:
    """Pins by tag and by digest, of several repositories, are listed in the order of names."""
    for repository, reference in ((THERE, TAG), (HERE, AMD.digest), (HERE, Tag("0"))):
        await site.put_pin(repository, reference, [deep(AMD)], 1.0)
    assert [pin.name for pin in site.pins.list_all()] == [
        "docker.io/library/a:0",
        f"docker.io/library/a@{AMD.digest}",
        "ghcr.io/team/a:1",
    ]


async def test_a_deep_pin_keeps_all_under_it(site: Site) -> None:
    """If an index is pinned, its manifests, configs and layers are not evicted."""
    for image in (AMD, ARM, INDEX, OTHER):
        await site.pull(HERE, image)
    await site.put_pin(HERE, TAG, [deep(INDEX)], 1.0)

    assert await site.list_evictable() == all_of(OTHER) - all_of(AMD)
    kept = all_of(AMD, ARM, INDEX)
    sizes = [site.path_of(digest).stat().st_size for digest in kept]
    assert (await site.catalog.break_down()).pinned == sum(sizes), "what is shared counts once"


async def test_a_pin_of_a_platform_keeps_only_that(site: Site) -> None:
    """A pin of one platform keeps the index and that platform, with shared layers."""
    for image in (AMD, ARM, INDEX):
        await site.pull(HERE, image)
    await site.put_pin(HERE, TAG, [Root(INDEX.digest, False), deep(AMD)], 1.0)
    assert await site.list_evictable() == all_of(ARM) - all_of(AMD)


async def test_what_comes_later_is_pinned_too(site: Site) -> None:
    """A child that is pulled after its index was pinned is kept too."""
    await site.pull(HERE, INDEX)
    await site.put_pin(HERE, TAG, [deep(INDEX)], 1.0)
    await site.pull(HERE, ARM)
    assert await site.list_evictable() == set()


async def test_signatures_of_the_pinned_stay(site: Site) -> None:
    """Manifests that refer to a pinned image are kept, and those that refer to them."""
    signature = make_image(b"signature", b"signed", subject=AMD)
    proof = make_image(b"proof", subject=signature)
    stranger = make_image(b"stranger", subject=OTHER)
    for image in (INDEX, AMD, signature, proof, stranger):
        await site.pull(HERE, image)
    await site.put_pin(HERE, TAG, [deep(INDEX)], 1.0)
    assert await site.list_evictable() == all_of(stranger)


async def test_a_shallow_pin_keeps_no_signature(site: Site) -> None:
    """A pin of one platform does not keep the signatures of the index."""
    signature = make_image(b"signature", subject=INDEX)
    for image in (INDEX, AMD, signature):
        await site.pull(HERE, image)
    await site.put_pin(HERE, TAG, [Root(INDEX.digest, False), deep(AMD)], 1.0)
    assert await site.list_evictable() == all_of(signature)


async def test_a_name_that_moved_is_kept_by_its_pin(site: Site) -> None:
    """A pin keeps its own tag even if the tag leads to another image by now."""
    await site.pull(HERE, AMD, "1")
    await site.put_pin(HERE, TAG, [deep(AMD)], 1.0)
    await site.pull(HERE, ARM, "1")

    pins = await site.database.survey(lambda rows: index_pins(rows, [HERE]))

    assert pins.find(HERE, ["1"], [str(ARM.digest)]) == f"{HERE}:1"
    assert pins.find(HERE, ["2"], [str(ARM.digest)]) is None


async def test_a_pin_is_found_by_what_it_keeps(site: Site) -> None:
    """Roots, children and referrers lead to their pin; other images do not."""
    signature = make_image(b"signature", subject=AMD)
    for image in (INDEX, AMD, ARM, signature, OTHER):
        await site.pull(HERE, image)
    await site.put_pin(HERE, TAG, [Root(INDEX.digest, False), deep(AMD)], 1.0)

    pins = await site.database.survey(lambda rows: index_pins(rows, [HERE]))

    for image in (INDEX, AMD, signature):
        assert pins.find(HERE, [], [str(OTHER.digest), str(image.digest)]) == f"{HERE}:1"
    assert pins.find(HERE, [], [str(ARM.digest), str(OTHER.digest)]) is None


async def test_a_pin_counts_in_its_repository(site: Site) -> None:
    """A pin does not forbid removals in another repository, but keeps the bytes."""
    await site.pull(HERE, AMD)
    await site.put_pin(THERE, TAG, [deep(AMD)], 1.0)
    pins = await site.database.survey(lambda rows: index_pins(rows, [HERE, THERE]))
    assert pins.find(HERE, ["1"], [str(AMD.digest)]) is None
    assert pins.find(THERE, [], [str(AMD.digest)]) == f"{THERE}:1"


def count_steps(path: Path, pins: int) -> int:
    """Ask of a layer of many images whether one of so many pins of others keeps it.

    Returns how many hundreds of instructions SQLite ran.
    """
    layer, steps = Digest.of(b"a layer of many images"), 0

    def note() -> None:
        nonlocal steps
        steps += 1

    migrate(path)
    with closing(sqlite3.connect(path)) as rows:
        images = [(str(Digest.of(b"image %d" % each)), str(layer)) for each in range(300)]
        rows.executemany("INSERT INTO links VALUES (?, ?, 0, 'x', 1)", images)
        roots = [Root(Digest.of(b"pinned %d" % each), is_deep=True) for each in range(pins)]
        put_pins(rows, [Pin(HERE, Tag(f"t{n}"), (root,), 1.0) for n, root in enumerate(roots)])
        rows.set_progress_handler(note, 100)
        assert not is_kept(rows, layer)
    return steps


def test_a_deletion_does_not_read_all_pins(tmp_path: Path) -> None:
    """Whether a pin keeps one blob is found out in the same time, however many pins there are.

    A deletion asks that in a transaction, for which all other processes wait.
    """
    few = count_steps(tmp_path / "few.db", 1)
    many = count_steps(tmp_path / "many.db", 300)

    assert many < 2 * few
