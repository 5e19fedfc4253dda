"""Laws of passes: they can be continued, belong to one auditor, and keep their rate."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from registry.catalog.audits import Pass
from registry.content import audit as module
from registry.content.audit import BACKGROUND, INTERVAL, Findings
from registry.oci.digest import Digest
from tests.unit.content.content_site import Crash, Site, open_site

CONTENTS = [bytes([number]) * 100 for number in range(5)]
ORDERED = sorted(map(Digest.of, CONTENTS), key=str)
A = CONTENTS[0]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def audit(site: Site, auditor: str = "command", *, is_new: bool = False) -> Findings:
    return await site.content.audit.go_on(auditor, is_new=is_new)


async def fill_all(site: Site) -> None:
    for content in CONTENTS:
        await site.fill(content)


async def die_after(site: Site, count: int, auditor: str = "command") -> list[Digest]:
    """Audit until `count` blobs were read, and then die."""
    told: list[Digest] = []

    def tell(digest: Digest, _: int) -> None:
        told.append(digest)
        if len(told) == count:
            raise Crash

    with pytest.raises(Crash):
        await site.content.audit.go_on(auditor, report=tell)
    return told


async def test_a_pass_goes_on_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A continued pass reads at most `STRIDE` bytes again, and misses no blob."""
    monkeypatch.setattr(module, "STRIDE", 200)
    await fill_all(site)
    assert await die_after(site, 4) == ORDERED[:4]
    assert site.audits.find("command") == Pass(str(ORDERED[1]), site.now, 0.0)
    began, site.now = site.now, site.now + 50
    site.spoil(ORDERED[4], b"damaged")

    findings = await audit(site)

    assert (findings.checked, findings.damaged) == (3, [ORDERED[4]])
    assert site.audits.find("command") == Pass("", began, site.now)


async def test_a_new_pass_begins_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass begins with the first blob if this is asked for, or if the last pass has ended."""
    monkeypatch.setattr(module, "STRIDE", 1)
    await fill_all(site)
    await die_after(site, 3)
    assert (await audit(site, is_new=True)).checked == 5
    assert (await audit(site)).checked == 5


async def test_auditors_have_passes_of_their_own(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command does not continue the pass of the background process."""
    monkeypatch.setattr(module, "STRIDE", 1)
    await fill_all(site)
    await die_after(site, 3, BACKGROUND)
    assert (await audit(site, "command")).checked == 5
    assert (await audit(site, BACKGROUND)).checked == 3, "what was told last was not written down"


async def test_a_pass_is_due_when_there_was_none_for_long(site: Site) -> None:
    """A pass is due at first, until it has ended, and `INTERVAL` after or before its beginning."""
    content = site.content.audit
    assert content.is_due(BACKGROUND)
    await site.fill(A)
    await die_after(site, 1, BACKGROUND)
    assert content.is_due(BACKGROUND), "it has not ended"
    site.now += 1
    await audit(site, BACKGROUND)
    assert not content.is_due(BACKGROUND)
    assert content.is_due("command")
    began = site.audits.find(BACKGROUND).began
    site.now = began + INTERVAL - 1
    assert not content.is_due(BACKGROUND)
    site.now = began + INTERVAL
    assert content.is_due(BACKGROUND)
    site.now = began - INTERVAL + 1
    assert not content.is_due(BACKGROUND)
    site.now = began - INTERVAL
    assert content.is_due(BACKGROUND), "the clock was set back"


async def test_reading_keeps_its_pace(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more bytes a second are read than the rate, also after a delay."""
    now, naps = 0.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if seconds:
            naps.append((now, seconds))

    clock = SimpleNamespace(time=lambda: now)
    paced = SimpleNamespace(sleep=sleep, get_running_loop=lambda: clock)
    monkeypatch.setattr(module, "asyncio", paced)
    await fill_all(site)

    await site.content.audit.go_on("command", rate=50.0)
    assert naps == [(2.0 * number, 2.0) for number in range(1, 6)]

    pace = module._Pace(50.0)
    now += 1000.0  # a disk that stood still
    await pace.keep(100)
    assert naps[-1] == (1012.0, 2.0)
    naps.clear()
    await site.content.audit.go_on("command")
    assert naps == []
