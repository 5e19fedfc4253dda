"""Laws of the audit: damage is found, unknown blobs are recorded, missing blobs forgotten."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.content import audit as module
from registry.content.audit import Findings
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, Site, make_image, open_site

CONTENTS = [bytes([number]) * 100 for number in range(5)]
ORDERED = sorted(map(Digest.of, CONTENTS), key=str)
A = CONTENTS[0]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def audit(site: Site) -> Findings:
    return await site.content.audit.go_on("command")


async def fill_all(site: Site) -> None:
    for content in CONTENTS:
        await site.fill(content)


async def test_a_healthy_store_is_clean(site: Site) -> None:
    """If all is right, every byte is read, and nothing is found or changed."""
    await fill_all(site)
    await site.pull(HERE, make_image(b"config", b"layer"), "1")
    before = (site.list_files(), site.catalog.used())
    told: list[Digest] = []

    findings = await site.content.audit.go_on(
        "command", report=lambda digest, _: told.append(digest)
    )

    assert findings.is_clean
    assert (findings.checked, findings.size) == (len(told), site.measure())
    assert {digest.encoded for digest in told} == site.list_files()
    assert before == (site.list_files(), site.catalog.used())


@pytest.mark.parametrize("rot", [b"\1" + A[1:], A[:-1] + b"\1", A[:-1], b"", A + A[:1]], ids=str)
async def test_rot_is_quarantined(site: Site, rot: bytes) -> None:
    """A blob with a wrong, a missing or an additional byte is quarantined; others stay."""
    await fill_all(site)
    site.spoil(Digest.of(A), rot)

    findings = await audit(site)

    assert findings.damaged == [Digest.of(A)]
    assert not findings.is_clean
    assert site.catalog.find_size(Digest.of(A)) is None
    assert site.list_files() == {each.encoded for each in ORDERED} - {Digest.of(A).encoded}
    aside = site.folder.quarantine / f"sha256-{Digest.of(A).encoded}"
    assert aside.read_bytes() == rot
    assert site.catalog.used() == site.measure()
    assert (await audit(site)).is_clean, "what was put right stays right"


async def test_a_damaged_unknown_blob_is_not_adopted(site: Site) -> None:
    """A damaged blob without a record is quarantined and counted there."""
    site.spoil(site.adopt(A), b"damaged")
    findings = await audit(site)
    assert (findings.damaged, findings.unknown) == ([Digest.of(A)], [])
    assert site.catalog.used() == site.measure() == len(b"damaged")


async def test_unknown_files_are_recorded(site: Site) -> None:
    """A blob without a record is recorded, as stored at the time of the audit."""
    site.adopt(A)
    findings = await audit(site)
    assert findings.unknown == [Digest.of(A)]
    assert site.catalog.list_after("", 9) == [(Digest.of(A), site.now)]
    assert site.catalog.used() == site.measure()
    assert (await audit(site)).is_clean


async def test_what_crashes_left_is_no_unknown_blob(site: Site) -> None:
    """Interrupted deletions and downloads are completed before the audit."""
    doomed = await site.fill(A)
    await site.catalog.mark_deleting(doomed)
    await site.room.reserve(Digest.of(CONTENTS[1]), 100)
    site.adopt(CONTENTS[1])
    findings = await audit(site)
    assert findings.is_clean
    assert site.list_files() == {Digest.of(CONTENTS[1]).encoded}
    assert site.catalog.used() == 100


async def test_what_is_downloading_is_no_unknown_blob(site: Site) -> None:
    """A blob that a download has stored and not recorded yet is not adopted."""
    digest = Digest.of(A)
    writer = site.ingests.take(digest)
    assert writer is not None
    await site.room.reserve(digest, 100)
    site.adopt(A)
    findings = await audit(site)
    writer.close()
    assert findings.is_clean
    assert site.catalog.list_reservations().keys() == {digest}


async def test_missing_blobs_are_forgotten(site: Site) -> None:
    """A row without a file is deleted, and its bytes do not count any more."""
    await fill_all(site)
    for digest in ORDERED[::2]:
        site.path_of(digest).unlink()
    findings = await audit(site)
    assert findings.missing == ORDERED[::2]
    assert site.catalog.used() == site.measure()
    assert (await audit(site)).is_clean


async def test_a_missing_blob_that_came_back_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row stays if its blob is downloaded again before the file is looked for."""
    digest = await site.fill(A)
    site.path_of(digest).unlink()
    real = site.store.stat

    async def stat(asked: Digest) -> int | None:
        size = await real(asked)
        site.adopt(A)
        site.now += 1
        await site.room.record(asked, 100)
        return size

    monkeypatch.setattr(site.store, "stat", stat)
    assert (await audit(site)).missing == []
    assert site.catalog.find_size(digest) == 100


async def test_many_missing_blobs_are_found_page_by_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All missing blobs are found, also if they fill several pages of rows."""
    monkeypatch.setattr(module, "PAGE", 2)
    await fill_all(site)
    for digest in ORDERED[:4]:
        site.path_of(digest).unlink()
    assert (await audit(site)).missing == ORDERED[:4]


async def test_what_is_evicted_meanwhile_is_nothing_wrong(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob that is evicted before it is read is neither damaged nor unread."""
    await fill_all(site)
    real = site.store.read

    def read(digest: Digest, span: object) -> object:
        if digest == ORDERED[1]:
            site.path_of(digest).unlink()
        return real(digest, span)  # type: ignore[arg-type]

    monkeypatch.setattr(site.store, "read", read)
    await site.catalog.mark_deleting(ORDERED[1])
    await site.catalog.mark_deleted(ORDERED[1])
    findings = await audit(site)
    assert (findings.checked, findings.is_clean) == (4, True)


async def test_an_unknown_file_that_goes_meanwhile_is_not_recorded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown file that is deleted before it is recorded leaves no row."""
    digest = site.adopt(A)
    real = site.catalog.record_found

    async def record(*values: object) -> bool:
        site.path_of(digest).unlink()
        return await real(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(site.content.audit._catalog, "record_found", record)
    findings = await audit(site)
    assert (findings.unknown, findings.missing) == ([], [])
    assert (site.catalog.find_size(digest), site.catalog.used()) == (None, 0)


async def test_what_cannot_be_read_is_quarantined(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable blob is reported and does not end the pass; the next pull fetches it."""
    await fill_all(site)
    real = site.store.read

    def read(digest: Digest, span: object) -> object:
        if digest == ORDERED[1]:
            raise StoreError(str(digest), "input/output error")
        return real(digest, span)  # type: ignore[arg-type]

    monkeypatch.setattr(site.store, "read", read)
    findings = await audit(site)
    assert (findings.unread, findings.damaged, findings.checked) == ([ORDERED[1]], [], 4)
    assert not findings.is_clean
    assert len(site.list_files()) == 4
    assert [digest for digest, _ in site.catalog.list_quarantined()] == [ORDERED[1]]


async def test_names_are_adopted(site: Site) -> None:
    """Names that the catalog lost are recorded again, and counted."""
    image = make_image(b"config", b"layer")
    await site.pull(HERE, image, "1")
    await site.database.write(lambda rows: rows.execute("DELETE FROM tags"))
    findings = await audit(site)
    assert (findings.names, findings.is_clean) == (1, False)
    assert site.manifests.find_tag(HERE, Tag("1")) is not None
    assert (await audit(site)).is_clean


async def test_blobs_may_be_pulled_during_a_pass(site: Site) -> None:
    """Blobs that are stored or deleted during a pass are not reported."""
    await fill_all(site)
    more = [bytes([number]) * 100 for number in range(100, 110)]
    victims = await site.catalog.list_coldest()

    async def disturb() -> None:
        await site.evictor.delete(victims)
        for content in more:
            await site.fill(content)

    findings, _ = await asyncio.gather(audit(site), disturb())

    assert findings.is_clean
    assert site.catalog.used() == site.measure() == 100 * len(more)
