"""Laws of the recorded lists of upstreams: what clients make up does not fill the disk."""

import json

import pytest

from registry.catalog import upstream_lists
from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.upstream_lists import UpstreamListCatalog, UpstreamListRecord
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.names import Repository, Tag

HERE = Repository("docker.io", "library/a")
THERE = Repository("ghcr.io", "library/a")


async def record_manifest(database: Database) -> Digest:
    """Store the row of a manifest, and return its digest."""
    config = {"mediaType": "x", "digest": str(Digest.of(b"config")), "size": 7}
    raw = json.dumps({"config": config, "layers": []}).encode()
    manifest = parse_manifest(raw, media_types.OCI_MANIFEST)
    await ManifestCatalog(database).record(HERE, manifest, Tag("latest"), 1.0)
    return manifest.digest


async def test_lists_of_what_is_not_stored_are_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random names and digests that clients ask for do not fill the disk."""
    monkeypatch.setattr(upstream_lists, "MAX_OTHERS", 20)
    monkeypatch.setattr(upstream_lists, "PRUNED_AFTER", 5)
    lists = UpstreamListCatalog(database)
    for number in range(60):
        await lists.record(HERE, str(Digest.of(b"%d" % number)), [], float(number), warning="w")
        random = Repository("docker.io", f"library/n{number}")
        await lists.record_referrers_api(random, float(number), is_supported=False)

    rows = database.read("SELECT count(*) FROM lists")
    assert rows[0][0] < 40
    assert lists.find(HERE, str(Digest.of(b"59"))) == UpstreamListRecord([], 59.0, "w")
    assert lists.has_referrers_api("docker.io") is False


async def test_lists_of_what_is_stored_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is needed in an outage is not deleted for random names."""
    monkeypatch.setattr(upstream_lists, "MAX_OTHERS", 0)
    monkeypatch.setattr(upstream_lists, "PRUNED_AFTER", 1)
    lists = UpstreamListCatalog(database)
    manifest = await record_manifest(database)
    await lists.record(HERE, str(manifest), [{"a": "b"}], 1.0)
    await lists.record(HERE, "tags", ["a"], 1.0)
    await lists.record(THERE, "tags", ["a"], 2.0)

    assert lists.find(HERE, str(manifest)) == UpstreamListRecord([{"a": "b"}], 1.0)
    assert lists.find(HERE, "tags") == UpstreamListRecord(["a"], 1.0)
    assert lists.find(THERE, "tags") is None


async def test_enormous_list_is_not_recorded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that is too long replaces nothing: it is asked for again."""
    monkeypatch.setattr(upstream_lists, "MAX_OTHER_BODY", 50)
    lists = UpstreamListCatalog(database)
    await lists.record(HERE, "tags", ["a"], 1.0)
    await lists.record(HERE, "tags", ["a" * 100], 2.0)

    assert lists.find(HERE, "tags") is None


async def test_most_lists_of_what_is_not_stored(database: Database) -> None:
    """1,000 rows stay, the newest ones."""
    rows = [(f"docker.io/library/n{number}", "tags", "[]", float(number)) for number in range(1150)]
    await database.write(
        lambda writing: writing.executemany("INSERT INTO lists VALUES (?, ?, ?, ?)", rows)
    )
    lists = UpstreamListCatalog(database)
    for number in range(upstream_lists.PRUNED_AFTER):
        await lists.record(HERE, str(Digest.of(b"%d" % number)), [], 2000.0)

    ((count, oldest),) = database.read("SELECT count(*), min(checked) FROM lists")
    assert (count, oldest) == (1000, 250.0)


@pytest.mark.parametrize(
    ("is_stored", "most"), [(False, 64 * 1024), (True, 4 * 1024 * 1024)], ids=["others", "stored"]
)
async def test_longest_list_that_is_recorded(
    database: Database, most: int, *, is_stored: bool
) -> None:
    """64 KiB of what is not stored, 4 MiB of what is; one byte more is not recorded."""
    if is_stored:
        await record_manifest(database)
    lists = UpstreamListCatalog(database)
    for more in (0, 1):
        entry = "a" * (most + more - len('[""]'))
        await lists.record(HERE, "tags", [entry], 1.0)
        assert (lists.find(HERE, "tags") is None) == bool(more)
