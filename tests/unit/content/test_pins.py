"""Laws of pins on disk: pins are not lost with the catalog."""

import errno
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.pins import Root
from registry.content.pins import Pins
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, THERE, Site, open_site

A, B = Digest.of(b"a"), Digest.of(b"b")
ROOTS = (Root(A, True, "linux/amd64"), Root(B, False))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


@pytest.fixture
def pins(site: Site) -> Pins:
    return site.pins


async def lose(site: Site) -> None:
    await site.database.write(lambda rows: rows.execute("DELETE FROM pins"))


async def test_pins_come_back_as_they_were(site: Site, pins: Pins) -> None:
    """Names, roots, platforms and times of all pins are restored from the file."""
    await pins.put([(HERE, Tag("1"), ROOTS)])
    site.now += 1
    await pins.put([(THERE, A, [Root(A, True)])])
    before = pins.list_all()
    await lose(site)
    assert await pins.restore() == 2
    assert pins.list_all() == before
    assert {pin.made for pin in before} == {1000.0, 1001.0}


async def test_the_unpinned_do_not_come_back(site: Site, pins: Pins) -> None:
    """A removed or replaced pin is not in the file any more."""
    await pins.put([(HERE, Tag("1"), ROOTS)])
    await pins.put([(HERE, Tag("1"), [Root(B, True)])])
    await pins.put([(HERE, Tag("2"), ROOTS)])
    assert await pins.remove([(HERE, Tag("2"))])
    assert not await pins.remove([(HERE, Tag("2"))])
    await lose(site)
    assert await pins.restore() == 1
    assert [pin.roots for pin in pins.list_all()] == [(Root(B, True),)]


async def test_restoring_twice_is_harmless(pins: Pins) -> None:
    """Restoring pins that are recorded already changes nothing."""
    await pins.put([(HERE, Tag("1"), ROOTS)])
    before = pins.list_all()
    await pins.restore()
    assert pins.list_all() == before


@pytest.mark.parametrize(
    "content", [b"", b"no json", b"{}", b"5", b"[5, null, []]", b"\xff", b"[" * 100_000]
)
async def test_a_spoilt_file_has_no_pins(site: Site, pins: Pins, content: bytes) -> None:
    """A file that is not a list of pins restores nothing, and does not stop a rebuild."""
    site.folder.pins.write_bytes(content)
    assert await pins.restore() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "NO NAME"},
        {"repository": 5},
        {"reference": "sha256:5"},
        {"roots": [{"digest": "x", "deep": True, "platform": ""}]},
        {"roots": [5]},
        {"roots": None},
        {"made": "yesterday"},
    ],
    ids=str,
)
async def test_one_spoilt_pin_spoils_no_other(
    site: Site, pins: Pins, change: dict[str, object]
) -> None:
    """A pin that cannot be read is left out, and the others are restored."""
    await pins.put([(HERE, Tag("1"), ROOTS)])
    fields = json.loads(site.folder.pins.read_bytes())[0]
    site.folder.pins.write_text(json.dumps([fields | change, fields]))
    await lose(site)
    assert await pins.restore() == 1
    assert [pin.name for pin in pins.list_all()] == [f"{HERE}:1"]


async def test_no_file_has_no_pins(site: Site, pins: Pins) -> None:
    """A data folder of an earlier version has no pins."""
    assert not site.folder.pins.exists()
    assert await pins.restore() == 0


async def test_a_refusing_disk_pins_nothing(
    site: Site, pins: Pins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new file cannot be written, the former file and the former rows stay."""
    await pins.put([(HERE, Tag("1"), ROOTS)])
    before, content = pins.list_all(), site.folder.pins.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("registry.content.pins.write_durably", refuse)
    for change in (pins.put([(HERE, Tag("2"), ROOTS)]), pins.remove([(HERE, Tag("1"))])):
        with pytest.raises(StoreError, match="No space left"):
            await change

    assert (pins.list_all(), site.folder.pins.read_bytes()) == (before, content)
