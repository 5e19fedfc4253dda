"""What `entrepot cache evict` deletes, and in which order."""

from pathlib import Path

from tests.unit.content.content_site import open_site

SIZE = 1000


async def test_quarantined_blobs_go_before_healthy_ones(tmp_path: Path) -> None:
    """Without need nothing goes; then what is quarantined, and then blobs, as a plan says."""
    async with open_site(tmp_path, limit=3 * SIZE) as site:
        await site.evictor.quarantine(await site.fill(b"a" * SIZE), "damaged")
        healthy = await site.fill(b"b" * SIZE)
        for wanted, freed, stays in ((0, 0, True), (SIZE, SIZE, True), (1, SIZE, False)):
            sizes, blobs = await site.evictor.plan_shrink(wanted)
            assert sum([*sizes, *(each.size for each in blobs)]) == freed
            assert (sum(await site.room.shrink(wanted)), site.is_here(healthy)) == (freed, stays)


async def test_only_what_was_deleted_is_counted(tmp_path: Path) -> None:
    """A blob that is being read stays and does not count, and neither does one that comes new."""
    async with open_site(tmp_path, limit=9 * SIZE) as site:
        await site.evictor.quarantine(await site.fill(b"a" * SIZE), "damaged")
        read, other = [await site.fill(text * 2 * SIZE) for text in (b"b", b"c")]
        with site.store.claim(read) as is_free:
            assert is_free
            assert await site.room.shrink(9 * SIZE) == [SIZE, 2 * SIZE]
        assert (site.is_here(read), site.is_here(other)) == (True, False)
