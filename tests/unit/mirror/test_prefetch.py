"""Laws of prefetching: missing content is downloaded once, and one failure stops no other."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from registry.errors import (
    BlobUnknown,
    EntrepotError,
    ManifestUnknown,
    PlatformUnknown,
    StoreFull,
    UpstreamUnreachable,
)
from registry.mirror.cache_status import CacheStatus
from registry.mirror.manifests import ServedManifest
from registry.mirror.prefetch import AT_ONCE, Prefetcher, PrefetchResult
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor
from registry.oci.names import Reference, Repository, Tag
from tests.unit.content.content_site import HERE, Image, make_image, make_index

AMD, ARM = (
    make_image(b"amd-config", b"shared", b"amd"),
    make_image(b"arm-config", b"shared", b"arm"),
)
V7 = make_image(b"v7-config")
PROOF = make_image(b"proof")
INDEX = make_index(
    AMD,
    ARM,
    V7,
    PROOF,
    platforms=("linux/amd64", "linux/arm64/v8", "linux/arm/v7", "unknown/unknown"),
)
TAG = Tag("1")


@dataclass
class Upstream:
    """Manifests and blobs in memory: some are stored, and some fail."""

    names: dict[Reference, Image] = field(default_factory=dict)
    failures: dict[Digest, EntrepotError] = field(default_factory=dict)
    here: set[Digest] = field(default_factory=set)
    fetched: list[Digest] = field(default_factory=list)
    running: int = 0
    most: int = 0

    async def refresh(self, repository: Repository, reference: Reference) -> ServedManifest:
        if reference in self.failures:
            raise self.failures[reference]  # type: ignore[index]
        if reference not in self.names:
            raise ManifestUnknown(str(repository), str(reference))
        return ServedManifest(self.names[reference].manifest, CacheStatus.MISS)

    async def is_here(self, repository: Repository, digest: Digest) -> bool:
        return digest in self.here

    async def read_small(self, blob: Descriptor) -> bytes:
        blobs = [each for image in self.names.values() for each in image.blobs]
        return next(each for each in blobs if Digest.of(each) == blob.digest)

    async def fetch(self, repository: Repository, descriptor: Descriptor) -> bool:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if descriptor.digest in self.failures:
                raise self.failures[descriptor.digest]
        finally:
            self.running -= 1
        if descriptor.digest in self.here:
            return False
        self.fetched.append(descriptor.digest)
        return True


@pytest.fixture
def upstream() -> Upstream:
    images = (INDEX, AMD, ARM, V7, PROOF)
    return Upstream({TAG: INDEX} | {image.digest: image for image in images})


async def warm(
    upstream: Upstream, *platforms: str, reference: Reference = TAG
) -> tuple[PrefetchResult, set[Digest]]:
    """Prefetch, and return the result and the digests of all downloaded blobs, each once."""
    prefetcher = Prefetcher(upstream, upstream, upstream)  # type: ignore[arg-type]
    upstream.fetched.clear()
    result = await prefetcher.warm(HERE, reference, platforms)
    fetched = set(upstream.fetched)
    assert len(fetched) == len(upstream.fetched)
    return result, fetched


def blobs_of(*images: Image) -> set[Digest]:
    return {Digest.of(blob) for image in images for blob in image.blobs}


def size_of(*images: Image) -> int:
    return sum(map(len, {blob for image in images for blob in image.blobs}))


async def test_all_platforms_are_fetched(upstream: Upstream) -> None:
    """Without platforms all manifests of the index are fetched, and shared blobs once."""
    result, fetched = await warm(upstream)
    images = (AMD, ARM, V7, PROOF)
    assert result == PrefetchResult(INDEX.digest, size_of(*images))
    assert fetched == blobs_of(*images)


@pytest.mark.parametrize(
    ("platforms", "images"),
    [
        (["linux/amd64"], [AMD]),
        (["linux/arm64"], [ARM]),
        (["linux/arm64/v8", "linux/arm64"], [ARM]),
        (["linux/arm"], [V7]),
        (["linux/amd64", "linux/arm/v7"], [AMD, V7]),
    ],
)
async def test_only_the_platforms_are_fetched(
    upstream: Upstream, platforms: Sequence[str], images: Sequence[Image]
) -> None:
    """With platforms only their manifests are fetched, even if one is named twice."""
    result, fetched = await warm(upstream, *platforms)
    assert (result.fetched, result.failures) == (size_of(*images), [])
    assert fetched == blobs_of(*images)


async def test_an_unavailable_platform_is_reported(upstream: Upstream) -> None:
    """If the image is not made for one platform, the others are fetched."""
    result, fetched = await warm(upstream, "linux/s390x", "linux/amd64")
    assert (result.unavailable, result.failures) == (["linux/s390x"], [])
    assert fetched == blobs_of(AMD)


async def test_an_image_for_none_of_the_platforms_is_refused(upstream: Upstream) -> None:
    """Nothing is downloaded, and the error names the image's platforms."""
    with pytest.raises(PlatformUnknown) as caught:
        await warm(upstream, "linux/ppc64le", "linux/s390x")
    assert caught.value.found == ("linux/amd64", "linux/arm/v7", "linux/arm64/v8")
    assert upstream.fetched == []


async def test_a_single_image_is_fetched(upstream: Upstream) -> None:
    """An image without an index is fetched by its tag or its digest."""
    for reference in (Tag("amd"), AMD.digest):
        upstream.names[Tag("amd")] = AMD
        result, fetched = await warm(upstream, reference=reference)
        assert result == PrefetchResult(AMD.digest, size_of(AMD))
        assert fetched == blobs_of(AMD)


async def test_a_single_image_for_another_platform_is_reported(upstream: Upstream) -> None:
    """It is fetched too, since there is no other manifest."""
    config = b'{"os": "linux", "architecture": "amd64"}'
    image = make_image(config, b"layer")
    upstream.names |= {TAG: image, image.digest: image}
    result, fetched = await warm(upstream, "linux/arm64")
    assert (result.only_platform, result.failures, len(fetched)) == ("linux/amd64", [], 2)
    result, _ = await warm(upstream, "linux/amd64")
    assert result.only_platform == ""


async def test_what_is_here_costs_nothing(upstream: Upstream) -> None:
    """A blob that is stored already is not downloaded."""
    upstream.here = blobs_of(ARM)
    result, fetched = await warm(upstream, "linux/amd64")
    assert result.fetched == len(b"amd-config") + len(b"amd")
    assert fetched == blobs_of(AMD) - blobs_of(ARM)


async def test_one_blob_that_fails_stops_no_other(upstream: Upstream) -> None:
    """A blob that cannot be downloaded is reported as a failure, and all others are downloaded."""
    lost = Digest.of(b"amd")
    upstream.failures[lost] = BlobUnknown(str(HERE), str(lost))
    result, fetched = await warm(upstream)
    assert result.failures == [f"no blob {lost} in {HERE}"]
    assert fetched == blobs_of(AMD, ARM, V7, PROOF) - {lost}


async def test_one_manifest_that_fails_stops_no_other(upstream: Upstream) -> None:
    """If the manifest of a platform fails, that is reported, and the others are downloaded."""
    upstream.failures[ARM.digest] = UpstreamUnreachable("https://hub.example", "no connection")
    result, fetched = await warm(upstream)
    assert result.failures == ["https://hub.example: no connection"]
    assert fetched == blobs_of(AMD, V7, PROOF)
    assert result.digest == INDEX.digest


async def test_a_name_that_leads_nowhere_is_an_error(upstream: Upstream) -> None:
    """A name without a manifest is an error."""
    with pytest.raises(ManifestUnknown):
        await warm(upstream, reference=Tag("missing"))


async def test_few_blobs_are_fetched_at_once(upstream: Upstream) -> None:
    """At most `AT_ONCE` layers of an image are fetched at the same time."""
    many = make_image(*[bytes([number]) for number in range(30)])
    upstream.names = {TAG: many, many.digest: many}
    result, _ = await warm(upstream)
    assert (result.fetched, upstream.most, upstream.running) == (30, AT_ONCE, 0)


async def test_the_same_failure_is_told_once(upstream: Upstream) -> None:
    """If there is no space for two layers, or both fail alike, one sentence says so."""
    first, second = (Digest.of(each) for each in AMD.blobs[:2])
    upstream.failures[first] = StoreFull("data", "no space for 1 KiB: storage.limit")
    upstream.failures[second] = StoreFull("data", "no space for 2 KiB: storage.limit")
    full, _ = await warm(upstream, "linux/amd64")
    for digest in (first, second):
        upstream.failures[digest] = UpstreamUnreachable("https://hub.example", "no data in time")
    failed, _ = await warm(upstream, "linux/amd64")
    assert full.failures == ["data: no space for 1 KiB: storage.limit"]
    assert failed.failures == ["https://hub.example: no data in time"]
