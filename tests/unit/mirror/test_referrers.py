"""Laws of the search for referrers: however many an upstream lists, few are downloaded."""

from typing import Any

import pytest

from registry.errors import ManifestUnknown
from registry.mirror.cache_status import CacheStatus
from registry.mirror.manifests import ServedManifest
from registry.mirror.referrers import ReferrerFetcher
from registry.mirror.tags_and_referrers import ServedList
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository
from tests.unit.content.content_site import HERE, Image, make_image

IMAGES = [Digest.of(b"image"), Digest.of(b"other image")]
MOST = 3


class Hostile:
    """An upstream where each image has the same long list of referrers."""

    def __init__(self, count: int) -> None:
        images = [make_image(f"referrer {number}".encode()) for number in range(count)]
        self._images: dict[Reference, Image] = {each.manifest.digest: each for each in images}
        self.asked: list[Reference] = []

    async def list_referrers(self, _: Repository, subject: Digest, **__: object) -> ServedList:
        entries = [{"digest": str(each)} for each in self._images]
        return ServedList(entries if subject in IMAGES else [], CacheStatus.MISS)

    async def find_stored(self, *_: object) -> None:
        return None

    async def refresh(self, repository: Repository, reference: Reference) -> ServedManifest:
        if reference not in self._images:
            raise ManifestUnknown(str(repository), str(reference))
        self.asked.append(reference)
        return ServedManifest(self._images[reference].manifest, CacheStatus.MISS)


@pytest.mark.parametrize(("count", "is_cut"), [(1, False), (2, True), (MOST + 2, True)])
async def test_only_some_referrers_are_downloaded(
    monkeypatch: pytest.MonkeyPatch, count: int, *, is_cut: bool
) -> None:
    """The lists of an image and its platforms are cut together, and the result says so once."""
    monkeypatch.setattr("registry.mirror.referrers.MOST_REFERRERS", MOST)
    upstream: Any = Hostile(count)

    found = await ReferrerFetcher(upstream, upstream).fetch(HERE, IMAGES, [])

    assert len(upstream.asked) == min(2 * count, MOST)
    assert len(found.manifests) == min(count, MOST)
    assert [f"more than {MOST}" in str(each) for each in found.failures] == [True] * is_cut
