"""Plans of removals against a naive model of who needs what."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.database import Database
from registry.catalog.deletion import Deletion, DeletionCatalog
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag

# Where a sync costs nothing: power never fails here.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
HERE, THERE = Repository("docker.io", "library/a"), Repository("ghcr.io", "team/a")
IMAGES, INDEXES, BLOBS = 5, 3, 5
Place = tuple[Repository, Digest]


def name(kind: str, number: int) -> Digest:
    return Digest.of(f"{kind} {number}".encode())


MANIFESTS = [name("image", number) for number in range(IMAGES)]
MANIFESTS += [name("index", number) for number in range(INDEXES)]
TAGS = [Tag("1"), Tag("2"), Tag("3")]
TAGS += [Tag(f"sha256-{each.encoded}.sig") for each in MANIFESTS[:2]]


@dataclass(frozen=True)
class World:
    """Two repositories: what they hold, what names lead to, and what manifests refer to."""

    links: dict[Digest, set[Digest]]
    subjects: dict[Digest, Digest]
    holdings: set[Place]
    tags: dict[tuple[Repository, Tag], Digest]
    stored: dict[Digest, int]

    def needed_by(self, places: set[Place]) -> set[Digest]:
        """Return what is referred to by what is held there, itself included."""
        return {each for _, digest in places for each in (digest, *self.links[digest])}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    blobs = [name("blob", number) for number in range(BLOBS)]
    links = {each: draw(st.sets(st.sampled_from(blobs), max_size=3)) for each in MANIFESTS[:IMAGES]}
    for place, index in enumerate(MANIFESTS[IMAGES:]):
        below = MANIFESTS[: IMAGES + place]  # images, and the indexes before it
        links[index] = draw(st.sets(st.sampled_from(below), max_size=4))
    subjects = {}
    for place in range(1, IMAGES):
        if draw(st.booleans()):
            subjects[MANIFESTS[place]] = draw(st.sampled_from(MANIFESTS[:place]))
    places = st.tuples(st.sampled_from([HERE, HERE, THERE]), st.sampled_from(MANIFESTS))
    holdings = draw(st.sets(places, min_size=1, max_size=12))
    names = st.tuples(st.just(HERE), st.sampled_from(TAGS)) | st.tuples(
        st.just(THERE), st.just(TAGS[0])
    )
    tags = {}
    for key in draw(st.sets(names, max_size=6)):
        held = sorted(digest for repository, digest in holdings if repository == key[0])
        if held:
            tags[key] = draw(st.sampled_from(held))
    sizes = st.dictionaries(st.sampled_from([*MANIFESTS, *blobs]), st.integers(0, 9))
    return World(links, subjects, holdings, tags, draw(sizes))


def insert(rows: sqlite3.Connection, world: World) -> None:
    for table in ("manifests", "links", "holdings", "tags", "blobs"):
        rows.execute(f"DELETE FROM {table}")
    for digest in MANIFESTS:
        subject = world.subjects.get(digest)
        values = (str(digest), "x", 1, str(subject) if subject else None, "", "{}")
        rows.execute("INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?)", values)
        for child in world.links[digest]:
            link = (str(digest), str(child), child in MANIFESTS, "x", 1)
            rows.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?)", link)
    for repository, digest in world.holdings:
        rows.execute("INSERT INTO holdings VALUES (?, ?, 1.0)", (str(repository), str(digest)))
    for (repository, tag), digest in world.tags.items():
        values = (str(repository), tag.name, str(digest))
        rows.execute("INSERT INTO tags VALUES (?, ?, ?, 1.0, '', '', '', 0, 0, 0)", values)
    for digest, size in world.stored.items():
        rows.execute("INSERT INTO blobs VALUES (?, ?, 1.0)", (str(digest), size))


class Site:
    """One catalog for all examples: each begins with none of the rows of the one before."""

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        self._runner, self._database = runner, database

    def remove(self, world: World, tags: list[Tag]) -> tuple[Deletion, set[Digest], set[str]]:
        """Plan and apply; return the plan, what is unneeded then, and what is still held here."""
        return self._runner.run(self._remove(world, tags))

    async def _remove(
        self, world: World, tags: list[Tag]
    ) -> tuple[Deletion, set[Digest], set[str]]:
        await self._database.write(lambda rows: insert(rows, world))
        catalog = DeletionCatalog(self._database)
        (removal,) = (await catalog.plan((HERE, tag) for tag in tags)).removals
        await catalog.apply(removal)
        unneeded = await catalog.list_unneeded([removal])
        query = "SELECT digest FROM holdings WHERE repository = ?"
        held = self._database.read(query, (str(HERE),))
        return removal, {each.digest for each in unneeded}, {row[0] for row in held}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(dir=FAST) as folder, asyncio.Runner() as runner:
        database = Database(Path(folder) / "catalog.db")
        runner.run(database.__aenter__())
        yield Site(runner, database)
        runner.run(database.__aexit__())


def list_parents(world: World, digest: Digest, places: set[Place]) -> Iterator[Digest]:
    """Yield the manifests held here that refer to it."""
    for repository, parent in places:
        if repository == HERE and digest in world.links[parent]:
            yield parent


@given(worlds(), st.lists(st.sampled_from(TAGS), min_size=1, max_size=3, unique=True))
def test_a_removal_takes_what_nothing_else_needs(site: Site, world: World, tags: list[Tag]) -> None:
    """No blob that what stays refers to goes, all others do, and no name is left without image."""
    removal, unneeded, held = site.remove(world, tags)

    remaining = world.holdings - {(HERE, digest) for digest in removal.manifests}
    needed = world.needed_by(remaining)
    assert removal.blobs.keys().isdisjoint(needed)
    freed = world.needed_by({(HERE, digest) for digest in removal.manifests}) - needed
    not_removed = set(MANIFESTS) - removal.manifests  # listed by an index, and of no repository
    assert removal.blobs == {
        digest: world.stored[digest] for digest in freed - not_removed if digest in world.stored
    }
    assert unneeded == set(removal.blobs)
    assert held == {str(digest) for repository, digest in remaining if repository == HERE}

    for (repository, tag), digest in world.tags.items():
        if repository == HERE and tag not in removal.tags:
            assert digest not in removal.manifests, "a name that stays leads to it"
    for digest in removal.manifests:
        assert list(list_parents(world, digest, remaining)) == [], "an index that stays has it"


@given(worlds(), st.sampled_from(TAGS))
def test_what_only_the_removed_name_led_to_goes(site: Site, world: World, tag: Tag) -> None:
    """A manifest with no other name and no index that stays goes with its last name."""
    removal, _, _ = site.remove(world, [tag])
    assert tag in removal.tags
    remaining = world.holdings - {(HERE, digest) for digest in removal.manifests}
    digest = world.tags.get((HERE, tag))
    names = [
        other
        for (repository, other), led in world.tags.items()
        if repository == HERE and led == digest and other not in removal.tags
    ]
    if digest is not None and not names and not list(list_parents(world, digest, remaining)):
        assert digest in removal.manifests
