"""What pins keep, asked from below for one blob, against the walk from above over all of them."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.database import Database
from registry.catalog.pins import KEPT, Pin, Root, is_kept, put_pins
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.property.test_deletion import (
    BLOBS,
    FAST,
    HERE,
    MANIFESTS,
    THERE,
    World,
    insert,
    name,
    worlds,
)

Site = tuple[asyncio.Runner, Database]
ALL = [*MANIFESTS, *[name("blob", number) for number in range(BLOBS)]]
PINS = st.builds(
    Pin,
    st.sampled_from([HERE, THERE]),
    st.sampled_from([Tag("1"), Tag("2")]),
    st.builds(Root, st.sampled_from(MANIFESTS), st.booleans()).map(lambda root: (root,)),
    st.just(1.0),
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(dir=FAST) as folder, asyncio.Runner() as runner:
        database = Database(Path(folder) / "catalog.db")
        runner.run(database.__aenter__())
        yield runner, database
        runner.run(database.__aexit__())


@given(worlds(), st.lists(PINS, max_size=4))
def test_a_blob_is_kept_as_seen_from_above_and_below(
    site: Site, world: World, pins: list[Pin]
) -> None:
    """For each blob the question of one deletion has the answer that the plan of all has.

    The digests that `put_pins` returns are the stored ones among the kept.
    """

    def prepare(rows: sqlite3.Connection) -> None:
        insert(rows, world)
        rows.execute("DELETE FROM pins")

    def look(rows: sqlite3.Connection) -> tuple[set[Digest], set[Digest]]:
        walked = rows.execute(f"{KEPT} SELECT digest FROM kept")
        return {Digest.parse(row[0]) for row in walked}, {d for d in ALL if is_kept(rows, d)}

    runner, database = site
    runner.run(database.write(prepare))
    last = {(pin.repository, pin.reference): pin for pin in pins}  # a later one replaces a former
    stored = runner.run(database.write(lambda rows: put_pins(rows, list(last.values()))))
    from_above, from_below = runner.run(database.survey(look))
    assert from_above == from_below
    assert {str(each) for each in from_above & set(world.stored)} == stored
