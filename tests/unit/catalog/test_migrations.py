"""Laws of migrations: all rows of the oldest version are kept, or nothing is changed."""

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from registry.catalog import database
from registry.catalog.blob_access import BlobAccess, BlobAccessCatalog
from registry.catalog.database import Database, migrate
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.upstream_lists import UpstreamListCatalog
from registry.catalog.usage import UsageCatalog
from registry.errors import StoreError
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag

HERE, THERE = Repository("docker.io", "library/app"), Repository("ghcr.io", "team/app")
INDEX, IMAGE, CONFIG, LAYER, EVICTED, SIGNATURE, GRANTED = (
    Digest.of(name) for name in (b"index", b"image", b"config", b"layer", b"e", b"s", b"g")
)
ROWS = {
    "manifests": [
        (INDEX, media_types.OCI_INDEX, 700, None, "", '{"made": "today"}'),
        (IMAGE, media_types.OCI_MANIFEST, 500, None, "", "{}"),
        (SIGNATURE, media_types.OCI_MANIFEST, 400, IMAGE, "application/sig", '{"by": "us"}'),
    ],
    "links": [
        (INDEX, IMAGE, 1, media_types.OCI_MANIFEST, 500),
        (IMAGE, CONFIG, 0, "application/config", 200),
        (IMAGE, LAYER, 0, "application/layer", 3_000_000_000),
        (IMAGE, EVICTED, 0, "application/layer", 50),
    ],
    # One is in two repositories, and what was seen last says when it was stored.
    "holdings": [
        (HERE, INDEX, 1000.5),
        (HERE, IMAGE, 1001.5),
        (THERE, IMAGE, 2000.5),
        (HERE, SIGNATURE, 1002.5),
    ],
    "grants": [(THERE, GRANTED, 90)],
    "tags": [(HERE, "1.0", INDEX, 1003.5), (THERE, "latest", IMAGE, 2001.5)],
    "lists": [(HERE, "tags", '["1.0", "2.0"]', 1004.5), (HERE, str(IMAGE), "[]", 1005.5)],
    "blobs": [(CONFIG, 200, 1006.5), (LAYER, 3_000_000_000, 1007.5), (GRANTED, 90, 1008.5)],
    "budgets": [("https://registry-1.docker.io", "203.0.113.5", 100, 98, 21600.0, "ip", 1009.5)],
}
MANIFESTS = [(INDEX, 700, 1000.5), (IMAGE, 500, 2000.5), (SIGNATURE, 400, 1002.5)]


def as_row(row: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(str(each) if isinstance(each, Digest | Repository) else each for each in row)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A catalog as the first version wrote it."""
    path = tmp_path / "catalog.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as rows:
        rows.execute("PRAGMA journal_mode = WAL")
        rows.executescript(read_script(1))
        for table, values in ROWS.items():
            marks = ", ".join("?" * len(values[0]))
            rows.executemany(f"INSERT INTO {table} VALUES ({marks})", map(as_row, values))
        rows.execute("PRAGMA user_version = 1")
    return path


def read_script(number: int) -> str:
    folder = files("registry.catalog") / "migrations"
    (script,) = (each for each in folder.iterdir() if each.name.startswith(f"{number:04}_"))
    return script.read_text(encoding="utf-8")


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as rows:
        return rows.execute(query).fetchall()


def dump(path: Path) -> list[str]:
    """Return all rows of a catalog, its schema and its version."""
    with closing(sqlite3.connect(path)) as rows:
        return [*rows.iterdump(), str(rows.execute("PRAGMA user_version").fetchone())]


@pytest.mark.parametrize("table", sorted(ROWS.keys() - {"blobs"}))
def test_every_row_comes_along(old: Path, table: str) -> None:
    """After a migration all columns of all old rows are still there."""
    migrate(old)
    width = len(ROWS[table][0])
    found = [row[:width] for row in ask(old, f"SELECT * FROM {table}")]
    assert sorted(found) == sorted(map(as_row, ROWS[table]))


def test_manifests_are_counted_as_blobs(old: Path) -> None:
    """Each manifest becomes one blob, last used when a repository last got it."""
    migrate(old)
    wanted = sorted(map(as_row, [*ROWS["blobs"], *MANIFESTS]))
    assert sorted(ask(old, "SELECT * FROM blobs")) == wanted
    assert ask(old, "SELECT bytes FROM usage") == [(3_000_000_000 + 200 + 90 + 700 + 500 + 400,)]


def test_an_empty_old_catalog_uses_nothing(tmp_path: Path) -> None:
    """A catalog without rows gets a usage of 0."""
    path = tmp_path / "catalog.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as rows:
        rows.executescript(read_script(1))
        rows.execute("PRAGMA user_version = 1")

    migrate(path)

    assert ask(path, "SELECT bytes FROM usage") == [(0,)]


def test_pulls_of_before_keep_the_names_of_today(old: Path) -> None:
    """Old pulls have no client, and the current tags as names, or else the digest."""
    with closing(sqlite3.connect(old, isolation_level=None)) as rows:
        rows.executescript(read_script(2))
        rows.execute("PRAGMA user_version = 2")
        rows.execute("INSERT INTO tags VALUES (?, 'new', ?, 1.0)", as_row((HERE, INDEX)))
        pulled = [(INDEX, HERE, 9.5), (IMAGE, HERE, 8.5), (IMAGE, THERE, 7.5)]
        rows.executemany("INSERT INTO pulls VALUES (?, ?, ?)", map(as_row, pulled))

    migrate(old)

    wanted = [
        (INDEX, HERE, "1.0", "", 9.5),
        (INDEX, HERE, "new", "", 9.5),
        (IMAGE, HERE, IMAGE, "", 8.5),
        (IMAGE, THERE, "latest", "", 7.5),
    ]
    assert sorted(ask(old, "SELECT * FROM pulls")) == sorted(map(as_row, wanted))
    assert sorted(ask(old, "SELECT * FROM last_pulls")) == sorted(map(as_row, pulled))


def test_both_records_of_pulls_become_one(old: Path) -> None:
    """The time of the last pull is kept, from whichever of the two old tables had it."""
    with closing(sqlite3.connect(old, isolation_level=None)) as rows:
        for number in (2, 3, 4, 5):
            rows.executescript(read_script(number))
        rows.execute("PRAGMA user_version = 5")
        pulled = [(INDEX, HERE, 9.5), (IMAGE, HERE, 8.5), (IMAGE, THERE, 7.5)]
        rows.executemany("INSERT INTO pulls VALUES (?, ?, ?)", map(as_row, pulled))
        clients = [
            (INDEX, HERE, "1.0", "10.0.0.1", 9.5),
            (INDEX, HERE, "1.0", "10.0.0.2", 3.5),
            (IMAGE, HERE, "2.0", "", 4.5),
        ]
        rows.executemany("INSERT INTO clients VALUES (?, ?, ?, ?, ?)", map(as_row, clients))

    migrate(old)

    kept = [*clients, (IMAGE, HERE, "", "", 8.5), (IMAGE, THERE, "", "", 7.5)]
    assert sorted(ask(old, "SELECT * FROM pulls")) == sorted(map(as_row, kept))
    assert sorted(ask(old, "SELECT * FROM last_pulls")) == sorted(map(as_row, pulled))


def test_what_was_served_counts_as_delivered(old: Path) -> None:
    """Every registry that served stored bytes before the migration has delivered them."""
    migrate(old)

    wanted = [
        *((each, HERE.registry, 1001.5) for each in (CONFIG, LAYER)),
        *((each, THERE.registry, 2000.5) for each in (CONFIG, LAYER)),
        (INDEX, HERE.registry, 1000.5),
        (IMAGE, HERE.registry, 1000.5),
        (IMAGE, THERE.registry, 2000.5),
        (SIGNATURE, HERE.registry, 1002.5),
        (GRANTED, THERE.registry, 0.0),
    ]
    assert sorted(ask(old, "SELECT * FROM deliveries")) == sorted(map(as_row, wanted))


async def test_what_was_known_can_be_asked_for(old: Path) -> None:
    """The classes of the catalog can read the old rows."""
    async with Database(old) as opened:
        manifests, blobs = ManifestCatalog(opened), BlobAccessCatalog(opened)
        tag = manifests.find_tag(HERE, Tag("1.0"))
        assert tag is not None
        assert (tag.digest, tag.checked) == (INDEX, 1003.5)
        assert manifests.find_held(THERE, IMAGE) == media_types.OCI_MANIFEST
        assert [each.descriptor.digest for each in manifests.list_referrers(HERE, IMAGE)] == [
            SIGNATURE
        ]
        assert await blobs.find(HERE, LAYER) == BlobAccess(3_000_000_000)
        assert await blobs.find(THERE, GRANTED) == BlobAccess(90, 0.0)
        listed = UpstreamListCatalog(opened).find(HERE, "tags")
        assert listed is not None
        assert listed.entries == ["1.0", "2.0"]


async def test_old_rows_can_be_evicted_to_the_last(old: Path) -> None:
    """All old blobs can be evicted, and then the usage is 0."""
    async with Database(old) as opened:
        room = UsageCatalog(opened)
        coldest = await room.list_coldest()
        assert {blob.digest for blob in coldest} == {
            *(CONFIG, LAYER, GRANTED),
            *(INDEX, IMAGE, SIGNATURE),
        }
        for blob in coldest:
            await room.mark_deleting(blob.digest)
            await room.mark_deleted(blob.digest)
        assert room.used() == 0


@pytest.mark.parametrize(
    "harm",
    ["INSERT INTO nowhere VALUES (1);", "CREATE TABLE blobs (x);", "SELECT no_such_function();"],
)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_migration_that_fails_leaves_the_old_version(
    old: Path, monkeypatch: pytest.MonkeyPatch, harm: str, place: float
) -> None:
    """A failed migration changes nothing, and the next try makes all of it."""
    before = dump(old)
    statements = read_script(2).split(";")
    middle = round(place * (len(statements) - 1))
    broken = ";".join([*statements[:middle], f" {harm.rstrip(';')}", *statements[middle:]])

    with monkeypatch.context() as patched:
        steps = {1: read_script(1), 2: broken}
        patched.setattr(database, "read_migrations", lambda: steps)
        with pytest.raises(StoreError, match=r"catalog\.db"):
            migrate(old)

    assert before == dump(old)
    migrate(old)
    assert ask(old, "SELECT COUNT(*) FROM blobs") == [(6,)]


def test_migrating_an_old_one_twice_is_harmless(old: Path) -> None:
    """A second migration does not count any blob again."""
    migrate(old)
    before = dump(old)
    migrate(old)
    assert before == dump(old)


def test_a_migrated_catalog_is_like_a_new_one(old: Path, tmp_path: Path) -> None:
    """A migrated catalog and a new one have the same tables."""
    new = tmp_path / "new.db"
    migrate(old)
    migrate(new)
    query = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert ask(old, query) == ask(new, query)
    assert ask(old, "PRAGMA user_version") == ask(new, "PRAGMA user_version")


def test_migrations_are_numbered_without_gap_or_twin() -> None:
    """Each number from 1 on has one migration: of two, only one would run."""
    names = sorted(file.name for file in (files("registry.catalog") / "migrations").iterdir())
    numbers = [int(name.partition("_")[0]) for name in names if name.endswith(".sql")]

    assert numbers == list(range(1, len(numbers) + 1))
