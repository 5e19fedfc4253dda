"""Laws of backups: content of one moment, every byte checked, cheap to renew and to restore."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.pins import Root
from registry.content.backup import BackedUp, DataHandles
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Tag
from registry.wiring.backup_folder import open_backup
from tests.unit.content import content_site as sites
from tests.unit.content.content_site import HERE, THERE, Site, make_image, make_index, open_site

AMD, ARM = (
    make_image(b"amd-config", b"shared", b"amd"),
    make_image(b"arm-config", b"shared", b"arm"),
)
INDEX = make_index(AMD, ARM)


class Pair:
    """A store that is in use, and a folder for its backup."""

    def __init__(self, site: Site, path: Path) -> None:
        self.site, self.path = site, path
        self.told: list[int] = []

    @property
    def target(self) -> DataHandles:
        return open_backup(self.path)

    async def back_up(self, target: DataHandles | None = None) -> BackedUp:
        self.told = []
        return await self.site.content.backup.write(target or self.target, self.told.append)

    def leave_part(self, digest: Digest, content: bytes) -> None:
        writer = self.target.ingests.take(digest)
        assert writer is not None
        writer.append([content])
        writer.close()

    def list_blobs(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.path.glob("blobs/*/*/*")}

    async def is_whole(self) -> bool:
        """Whether the backup, opened as a data folder, has exactly what its catalog lists."""
        async with open_site(self.path) as copy:
            findings = await copy.content.audit.go_on("command")
            return findings.is_clean and copy.catalog.used() == copy.measure()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with open_site(tmp_path / "data") as site:
        for image, tags in ((INDEX, ["1"]), (AMD, []), (ARM, ["arm"])):
            await site.pull(HERE, image, *tags)
        yield Pair(site, tmp_path / "backup")


def contents(site: Site) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in site.folder.blobs.glob("*/*/*")}


async def test_a_backup_has_everything(pair: Pair) -> None:
    """A backup is a data folder with the blobs, names and rows of the source."""
    done = await pair.back_up()

    assert pair.list_blobs() == contents(pair.site)
    assert done == BackedUp(8, pair.site.measure(), copied=8, names=5, tags=2)
    assert sorted(pair.told) == sorted(map(len, pair.list_blobs().values()))
    async with open_site(pair.path) as copy:
        assert await copy.images.load() == await pair.site.images.load()
        found = {(str(where), str(name)) async for where, name, _ in copy.references.scan()}
    assert {(str(HERE), "1"), (str(HERE), "arm"), (str(HERE), str(AMD.digest))} <= found
    assert await pair.is_whole()


async def test_an_empty_store_has_a_backup(tmp_path: Path) -> None:
    """The backup of an empty store is a data folder."""
    async with open_site(tmp_path / "data") as site:
        pair = Pair(site, tmp_path / "backup")
        assert await pair.back_up() == BackedUp()
        assert await pair.is_whole()


async def test_renewing_copies_what_is_new(pair: Pair) -> None:
    """A second backup copies only new blobs, and then has the content of the store."""
    await pair.back_up()
    await pair.site.pull(THERE, make_image(b"new-config", b"shared"), "new")
    done = await pair.back_up()
    assert (done.copied, done.blobs, done.names) == (2, 10, 7)
    assert pair.list_blobs() == contents(pair.site)
    assert await pair.is_whole()
    assert (await pair.back_up()).copied == 0


async def test_renewing_deletes_what_is_gone(pair: Pair) -> None:
    """Bytes and names that were removed from the store are removed from the backup."""
    await pair.back_up()
    removals = pair.site.content.deletion
    await removals.carry_out((await removals.plan([(HERE, Tag("1"))])).removals)
    await pair.back_up()
    assert pair.list_blobs() == contents(pair.site)
    references = pair.target.tags
    assert await references.read(HERE, Tag("arm")) is not None
    assert await references.read(HERE, Tag("1")) is None


async def test_a_removed_name_does_not_come_back(pair: Pair) -> None:
    """A tag that was removed is not in the next backup, even if its manifest stays."""
    await pair.site.pull(HERE, ARM, "old")
    await pair.back_up()
    removals = pair.site.content.deletion
    await removals.carry_out((await removals.plan([(HERE, Tag("old"))])).removals)
    await pair.back_up()
    assert await pair.is_whole()
    async with open_site(pair.path) as copy:
        assert copy.manifests.find_tag(HERE, Tag("old")) is None


async def test_an_interrupted_backup_goes_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs that were copied before an interruption are not copied again."""
    target, seen = pair.target, iter(range(3))

    def interrupt(_: int) -> None:
        if next(seen, None) is None:
            raise sites.Crash

    with pytest.raises(sites.Crash):
        await pair.site.content.backup.write(target, interrupt)
    assert not target.folder.catalog.exists(), "what is not whole is no backup"
    assert (await pair.back_up()).copied == 8 - 4
    assert await pair.is_whole()


async def test_half_a_blob_is_gone_on_with(pair: Pair) -> None:
    """A blob that was copied in part is continued, and its whole digest is checked."""
    big = bytes(range(256)) * 20
    digest = await pair.site.fill(big)
    pair.leave_part(digest, big[:1000])
    await pair.back_up()
    assert pair.list_blobs()[digest.encoded] == big
    assert list((pair.path / "spool").iterdir()) == []


async def test_an_interrupted_renewal_leaves_the_former(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a renewal ends, the folder is the earlier backup with all its blobs."""
    await pair.back_up()
    removals = pair.site.content.deletion
    await removals.carry_out((await removals.plan([(HERE, Tag("arm")), (HERE, Tag("1"))])).removals)
    await pair.site.fill(b"new")
    target = pair.target

    async def refuse(*_: object) -> None:
        raise StoreError("tags", "full")

    def fail(*_: object) -> None:
        raise StoreError("pins.json", "full")

    monkeypatch.setattr(target.tags, "write", refuse)
    monkeypatch.setattr("registry.content.backup.copy_list_file", fail)
    with pytest.raises(StoreError):
        await pair.back_up(target)
    monkeypatch.undo()
    async with open_site(pair.path) as copy:
        assert (await copy.content.audit.go_on("command")).missing == []


@pytest.mark.parametrize("rot", [b"", b"am", b"amx", b"amd+"], ids=str)
async def test_rot_is_left_out(pair: Pair, rot: bytes) -> None:
    """A damaged blob is reported, and neither its bytes nor its row are copied."""
    layer = Digest.of(b"amd")
    pair.site.spoil(layer, rot)
    done = await pair.back_up()
    assert (done.damaged, done.blobs) == ([layer], 7)
    assert layer.encoded not in pair.list_blobs()
    assert await pair.is_whole()


async def test_rot_costs_a_backup_nothing(pair: Pair) -> None:
    """A blob that was backed up before it was damaged stays in the backup."""
    await pair.back_up()
    layer = Digest.of(b"amd")
    pair.site.spoil(layer, b"damaged")
    done = await pair.back_up()
    assert (done.damaged, done.copied) == ([], 0)
    assert pair.list_blobs()[layer.encoded] == b"amd"


async def test_a_shrunk_blob_is_rot_though_half_of_it_was_copied(pair: Pair) -> None:
    """A partial copy that is longer than the damaged blob does not stop the backup."""
    layer = await pair.site.fill(b"x" * 1000)
    pair.leave_part(layer, b"x" * 501)
    pair.site.spoil(layer, b"x" * 10)
    assert (await pair.back_up()).damaged == [layer]
    assert await pair.is_whole()


@pytest.mark.parametrize("last", [b"x", b"z"], ids=["whole", "damaged"])
async def test_only_wrong_bytes_of_the_source_are_damage(pair: Pair, last: bytes) -> None:
    """A partial copy with wrong bytes is made again, before the source is said to be damaged."""
    layer = await pair.site.fill(b"x" * 1000)
    pair.leave_part(layer, b"y" * 501)
    pair.site.spoil(layer, b"x" * 999 + last)
    assert (await pair.back_up()).damaged == ([layer] if last == b"z" else [])
    assert (layer.encoded in pair.list_blobs()) is (last == b"x")
    assert await pair.is_whole()


async def test_what_is_evicted_meanwhile_is_left_out(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob that is evicted during the backup is in it neither as a row nor as a file."""
    layer = Digest.of(b"amd")
    real = pair.site.database.copy

    async def copy(path: Path) -> None:
        await real(path)
        pair.site.path_of(layer).unlink()

    monkeypatch.setattr(pair.site.database, "copy", copy)
    done = await pair.back_up()
    assert (done.blobs, done.damaged) == (7, [])
    assert await pair.is_whole()


async def test_what_is_evicted_as_it_is_opened_is_left_out(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob that is evicted between check and first read does not stop the backup."""
    layer = Digest.of(b"amd")
    source = pair.site.content.backup._source.store
    real = source.stat

    async def stat(digest: Digest) -> int | None:
        size = await real(digest)
        if digest == layer:
            pair.site.path_of(digest).unlink(missing_ok=True)
        return size

    monkeypatch.setattr(source, "stat", stat)
    done = await pair.back_up()
    assert (done.blobs, done.damaged) == (7, [])
    assert await pair.is_whole()


async def test_work_is_not_backed_up(pair: Pair) -> None:
    """Downloads, deletions and quarantine of the store are not in the backup."""
    await pair.site.room.reserve(Digest.of(b"downloading"), 500)
    await pair.site.catalog.mark_deleting(await pair.site.fill(b"doomed"))
    await pair.site.evictor.quarantine(await pair.site.fill(b"damaged"), "damaged")
    await pair.back_up()
    async with open_site(pair.path) as copy:
        assert copy.catalog.used() == copy.measure()
        assert (copy.catalog.list_reservations(), copy.catalog.list_deleting()) == ({}, [])
        assert copy.catalog.list_quarantined() == []


async def test_pins_are_backed_up(pair: Pair) -> None:
    """Pins of the store are in the backup, in its catalog and in its `pins.json`."""
    await pair.site.pin(HERE, Tag("1"), [])
    await pair.back_up()
    async with open_site(pair.path) as copy:
        assert [pin.roots for pin in copy.pins.list_all()] == [(Root(INDEX.digest, True),)]
    (pair.path / "catalog.db").unlink()
    async with open_site(pair.path) as copy:
        await copy.content.rebuild.recover(5.0)
        assert [pin.roots for pin in copy.pins.list_all()] == [(Root(INDEX.digest, True),)]


async def test_two_do_not_write_one_backup(pair: Pair) -> None:
    """If another process is writing the same backup, the error says so."""
    writer = pair.target.ingests.take(Digest.of(b"amd"))
    assert writer is not None
    with pytest.raises(StoreError, match="another process"):
        await pair.back_up()
    writer.close()


async def test_a_journal_of_the_former_backup_is_no_part_of_the_new(pair: Pair) -> None:
    """A log file that a killed backup left is not applied to the new catalog."""
    await pair.back_up()
    files = [pair.path / "catalog.db", pair.path / "catalog.db-wal"]
    async with open_site(pair.path) as copy:
        for number in range(50):
            await copy.fill(bytes([number]) * 9)
        left = [file.read_bytes() for file in files]
    for file, former in zip(files, left, strict=True):
        file.write_bytes(former)

    await pair.back_up()

    async with open_site(pair.path) as copy:
        assert copy.database.read("PRAGMA integrity_check") == [("ok",)]
        assert await copy.images.load() == await pair.site.images.load()
