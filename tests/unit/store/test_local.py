"""Laws of blobs as files: their order, their readers, and quarantine."""

import os
from pathlib import Path

import pytest

from registry.oci.digest import Digest
from registry.store.local import DiskStore

ABSENT = Digest.of(b"absent")
CONTENTS = [bytes([number]) for number in range(60)]


class Site:
    """A store, and another store over the same folder as in another process."""

    def __init__(self, root: Path) -> None:
        self.blobs, self.quarantine = root / "blobs", root / "quarantine"
        for folder in (self.blobs, self.quarantine):
            folder.mkdir()
        self.store = DiskStore(self.blobs, self.quarantine)
        self.other = DiskStore(self.blobs, self.quarantine)

    def put(self, content: bytes, algorithm: str = "sha256") -> Digest:
        digest = Digest.of(content, algorithm)
        path = self.path_of(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest

    def path_of(self, digest: Digest) -> Path:
        return self.blobs / digest.algorithm / digest.encoded[:2] / digest.encoded

    async def scan(self, after: str = "") -> list[str]:
        return [str(digest) async for digest, _ in self.store.scan(after)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_a_scan_is_in_order_across_folders(site: Site) -> None:
    """Digests of both algorithms are yielded in the order of their text."""
    put = [str(site.put(content, kind)) for content in CONTENTS for kind in ("sha512", "sha256")]
    assert await site.scan() == sorted(put)


async def test_a_scan_goes_on_after_any_digest(site: Site) -> None:
    """A scan yields all digests after `after`, even if `after` is not stored."""
    put = sorted(str(site.put(content)) for content in CONTENTS)
    absent = [str(Digest.of(bytes([number]))) for number in range(60, 90)]
    for after in (*put, *absent, f"sha256:{'0' * 64}", f"sha256:{'f' * 64}", "sha512:", "sha2"):
        assert await site.scan(after) == [each for each in put if each > after]


async def test_a_scan_looks_only_into_folders_that_follow(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan does not read folders with digests before `after`."""
    put = sorted(str(site.put(content)) for content in CONTENTS)
    looked: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (looked.append(path.name), real(path))[1])
    await site.scan(put[-1])
    shards = [name for name in looked if len(name) == 2]
    assert shards == [put[-1].partition(":")[2][:2]]


async def test_what_goes_during_a_scan_is_passed_over(site: Site) -> None:
    """A blob that is deleted during a scan is not listed, and does not stop the scan."""
    put = sorted((site.put(content) for content in CONTENTS), key=str)
    found = []
    async for digest, _ in site.store.scan():
        if not found:
            for gone in put[2:]:
                await site.store.delete(gone)
        found.append(digest)
    assert found[0] == put[0]
    assert set(found) <= set(put[:2]) | {
        each for each in put if each.encoded[:2] == put[0].encoded[:2]
    }


async def test_readers_are_known_to_every_process(site: Site) -> None:
    """While a reader is open no process can claim; after the last one every process can."""
    digest = site.put(b"content")
    readers = [await site.store.open(digest), await site.other.open(digest)]
    for reader in readers:
        for store in (site.store, site.other):
            with store.claim(digest) as is_free:
                assert not is_free
        assert reader is not None
        reader.close()
    with site.other.claim(digest) as is_free:
        assert is_free


def test_one_claims_at_a_time(site: Site) -> None:
    """There is one claim of a blob at a time, and it is freed at the end of the body."""
    digest = site.put(b"content")
    with site.store.claim(digest) as first, site.other.claim(digest) as second:
        assert (first, second) == (True, False)
    with pytest.raises(ZeroDivisionError), site.store.claim(digest):
        raise ZeroDivisionError
    with site.other.claim(digest) as is_free:
        assert is_free


async def test_a_claim_leaves_nothing_open(site: Site) -> None:
    """Each end of a claim closes its descriptor."""
    digest = site.put(b"content")
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    reader = await site.store.open(digest)
    for asked, expected in ((digest, False), (site.put(b"other"), True), (ABSENT, False)):
        with site.store.claim(asked) as is_free:
            assert is_free is expected
    assert reader is not None
    reader.close()
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


async def test_what_is_quarantined_keeps_its_bytes(site: Site) -> None:
    """A quarantined blob keeps its bytes under its digest, outside of the store."""
    digest = site.put(b"content")
    await site.store.quarantine(digest)
    assert await site.store.stat(digest) is None
    aside = site.quarantine / f"sha256-{digest.encoded}"
    assert aside.read_bytes() == b"content"
    await site.store.delete_quarantined(digest)
    assert list(site.quarantine.iterdir()) == []


async def test_setting_aside_again_keeps_the_newer(site: Site) -> None:
    """If a blob is quarantined twice, the last bytes are kept."""
    digest = site.put(b"content")
    await site.store.quarantine(digest)
    site.path_of(digest).write_bytes(b"other")
    await site.store.quarantine(digest)
    assert [path.read_bytes() for path in site.quarantine.iterdir()] == [b"other"]


async def test_without_a_quarantine_nothing_damaged_stays(site: Site) -> None:
    """If the folder has no `quarantine/`, it is made, and the blob is moved there."""
    site.quarantine.rmdir()
    digest = site.put(b"content")
    await site.store.quarantine(digest)
    assert await site.store.stat(digest) is None


async def test_a_refusal_of_the_disk_is_an_error(site: Site) -> None:
    """If `quarantine` is not a folder, there is an error, and the blob stays in the store."""
    site.quarantine.rmdir()
    site.quarantine.touch()
    digest = site.put(b"content")
    with pytest.raises(OSError, match="exists"):
        await site.store.quarantine(digest)
    assert await site.store.stat(digest) == 7
