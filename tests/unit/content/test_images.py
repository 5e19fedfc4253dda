"""Laws of images for operators: found by pattern, described from disk, and pinned."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.pins import Root
from registry.content.image_report import ImageReport
from registry.errors import ImageUnknown, PlatformUnknown
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.image_patterns import ImagePattern
from registry.oci.manifest import parse_manifest
from registry.oci.names import Tag
from registry.oci.registries import Registries
from tests.unit.content.content_site import (
    HERE,
    THERE,
    Image,
    Site,
    make_image,
    make_index,
    open_site,
)


def configure(architecture: str) -> bytes:
    return json.dumps({"os": "linux", "architecture": architecture}).encode()


AMD = make_image(configure("amd64"), b"shared", b"amd")
ARM = make_image(configure("arm64"), b"shared", b"arm")
INDEX = make_index(AMD, ARM, platforms=("linux/amd64", "linux/arm64/v8"))
TAG = Tag("1")
DEEP = b"[" * 200_000
STRANGE = (b"", b"no json", b"[]", DEEP, b"\xff")
ROT = (b"", b"rot", b"[]", b'{"manifests": 1}', b"\xff")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def pull_index(site: Site) -> None:
    await site.pull(HERE, INDEX, "1")
    for image in (AMD, ARM):
        await site.pull(HERE, image)


async def describe(site: Site, *patterns: str) -> list[ImageReport]:
    parsed = [ImagePattern.parse(each, Registries("docker.io")) for each in patterns]
    return await site.content.images.describe(parsed)


async def test_images_are_found_by_pattern(site: Site) -> None:
    """Without patterns all images are described, otherwise each matching image once."""
    await site.pull(HERE, AMD, "1", "2")
    await site.pull(THERE, ARM, "1")
    names = [f"{HERE}:1", f"{HERE}:2", f"{THERE}:1"]
    assert [each.name for each in await describe(site)] == names
    assert [each.name for each in await describe(site, "a:2", "ghcr.io/*")] == names[1:]
    assert [each.name for each in await describe(site, "*", "*:1")] == names
    assert await describe(site, "b") == []
    assert [each.name for each in await describe(site, f"a@{AMD.digest}")] == names[:2]


@pytest.mark.parametrize("glob", ["*@*", "a@*", "a@sha256:*"])
async def test_a_glob_of_digests_means_images_without_a_tag(site: Site, glob: str) -> None:
    """Otherwise a command that removes such images would remove tags."""
    await site.pull(HERE, AMD, "1")
    await site.pull(HERE, ARM)
    assert [each.name for each in await describe(site, glob)] == [f"{HERE}@{ARM.digest}"]
    assert [each.name for each in await describe(site, f"a@{AMD.digest}")] == [f"{HERE}:1"]


async def test_an_index_has_the_platforms_it_names(site: Site) -> None:
    """The platforms are those of the index, each with its missing blobs."""
    await site.pull(HERE, INDEX, "1")
    await site.pull(HERE, AMD)
    (report,) = await describe(site)
    assert [(each.platform, each.is_complete) for each in report.platforms] == [
        ("linux/amd64", True),
        ("linux/arm64/v8", False),
    ]


async def test_an_image_has_the_platform_of_its_config(site: Site) -> None:
    """A single image has the platform of its config; it is unknown if the config is missing."""
    await site.pull(HERE, ARM, "1")
    (report,) = await describe(site)
    assert [each.platform for each in report.platforms] == ["linux/arm64"]
    await site.evictor.delete(
        [
            blob
            for blob in await site.catalog.list_coldest()
            if blob.digest == Digest.of(ARM.blobs[0])
        ]
    )
    (report,) = await describe(site)
    assert [(each.platform, each.is_complete) for each in report.platforms] == [("", False)]


@pytest.mark.parametrize("config", STRANGE, ids=["empty", "text", "list", "deep", "binary"])
async def test_a_strange_config_hides_no_image(site: Site, config: bytes) -> None:
    """An image is described even if its config is not a valid config."""
    await site.pull(HERE, make_image(config, b"layer"), "1")
    (report,) = await describe(site)
    assert [(each.platform, each.is_complete) for each in report.platforms] == [("", True)]


async def test_a_layer_that_poses_as_a_config_is_not_read(site: Site) -> None:
    """A config that is too large is not read, and gives no platform."""
    config = configure("amd64") + b" " * (8 * 1024 * 1024)
    async with open_site(site.folder.root / "large", limit=10**8) as large:
        await large.pull(HERE, make_image(config), "1")
        (report,) = await describe(large)
    assert [each.platform for each in report.platforms] == [""]


async def spoil(site: Site, image: Image, rot: bytes) -> None:
    """Damage a manifest, and describe all images: the other one is described as before."""
    await site.pull(HERE, image, "1")
    await site.pull(THERE, ARM, "1")
    site.spoil(image.digest, rot)
    reports = await describe(site)
    assert [each.name for each in reports] == [f"{HERE}:1", f"{THERE}:1"]
    assert [each.platform for each in reports[1].platforms] == ["linux/arm64"]


@pytest.mark.parametrize("rot", ROT)
async def test_a_damaged_manifest_hides_no_image(site: Site, rot: bytes) -> None:
    """If a manifest is damaged, its platform is unknown; other images are unaffected."""
    await spoil(site, AMD, rot)


async def test_a_damaged_config_gives_no_platform(site: Site) -> None:
    """A config whose bytes changed on disk is not believed, and is moved into quarantine."""
    await site.pull(HERE, AMD, "1")
    config = Digest.of(AMD.blobs[0])
    site.spoil(config, configure("arm64"))

    (report,) = await describe(site)

    assert [each.platform for each in report.platforms] == [""]
    assert [digest for digest, _ in site.catalog.list_quarantined()] == [config]


@pytest.mark.parametrize("rot", ROT)
async def test_a_damaged_index_hides_no_image(site: Site, rot: bytes) -> None:
    """If an index is damaged, its platforms are unknown; other images are unaffected."""
    await spoil(site, INDEX, rot)


async def test_an_index_of_nothing_is_described(site: Site) -> None:
    """An index whose manifests are null is an image without platforms."""
    raw = b'{"schemaVersion": 2, "manifests": null}'
    await site.pull(HERE, Image(parse_manifest(raw, media_types.OCI_INDEX)), "1")
    (report,) = await describe(site)
    assert [each.platform for each in report.platforms] == [""]


async def test_a_pin_keeps_what_the_name_leads_to(site: Site) -> None:
    """A pin keeps the image that the tag leads to now, even if the tag moves later."""
    await pull_index(site)
    await site.pull(HERE, make_image(b"other"), "2")

    await site.pin(HERE, TAG, [])

    (report,) = await site.content.images.describe([ImagePattern((str(HERE),), "1")])

    assert (report.name, report.pins) == (f"{HERE}:1", (f"{HERE}:1",))
    (pin,) = site.content.images.list_pins()
    assert (pin.roots, pin.made) == ((Root(INDEX.digest, True),), site.now)
    await site.pull(HERE, AMD, "1")
    assert site.pins.list_all() == [pin]


async def test_a_pin_of_platforms_keeps_only_those(site: Site) -> None:
    """A pin of platforms keeps these platforms and the index itself."""
    await pull_index(site)
    await site.pin(HERE, TAG, ["linux/arm64"])
    (pin,) = site.content.images.list_pins()
    assert set(pin.roots) == {
        Root(INDEX.digest, False),
        Root(ARM.digest, True, "linux/arm64"),
    }
    assert await site.list_evictable() == {
        AMD.digest,
        *map(Digest.of, set(AMD.blobs) - set(ARM.blobs)),
    }


async def test_a_single_image_is_pinned_for_its_platform(site: Site) -> None:
    """An image without an index is pinned only for its own platform."""
    await site.pull(HERE, AMD, "1")
    with pytest.raises(PlatformUnknown) as caught:
        await site.pin(HERE, TAG, ["linux/arm64"])
    assert caught.value.found == ("linux/amd64",)
    await site.pin(HERE, TAG, ["linux/amd64"])
    (pin,) = site.content.images.list_pins()
    assert pin.roots == (Root(AMD.digest, True, "linux/amd64"),)


async def test_one_platform_too_many_pins_nothing(site: Site) -> None:
    """If the image is not made for one of the platforms, the earlier pin stays."""
    await pull_index(site)
    await site.pin(HERE, TAG, [])
    with pytest.raises(PlatformUnknown, match="linux/s390x"):
        await site.pin(HERE, TAG, ["linux/amd64", "linux/s390x"])
    assert [pin.roots for pin in site.content.images.list_pins()] == [(Root(INDEX.digest, True),)]


async def test_only_what_is_here_is_pinned(site: Site) -> None:
    """A name that is not stored, or only in another repository, cannot be pinned."""
    await site.pull(THERE, AMD, "1")
    for reference in (TAG, AMD.digest):
        with pytest.raises(ImageUnknown, match="is not stored here"):
            await site.pin(HERE, reference, [])
    assert site.content.images.list_pins() == []


async def test_a_digest_can_be_pinned(site: Site) -> None:
    """An image can be pinned by digest, even if a tag leads to it."""
    await site.pull(HERE, AMD, "1")
    await site.pin(HERE, AMD.digest, [])
    assert [pin.name for pin in site.content.images.list_pins()] == [f"{HERE}@{AMD.digest}"]
    (report,) = await describe(site)
    assert report.pins == (f"{HERE}@{AMD.digest}",)


async def test_one_platform_can_be_pinned_by_its_digest(site: Site) -> None:
    """A manifest that only an index leads to can be pinned by its digest."""
    await pull_index(site)
    await site.pin(HERE, AMD.digest, [])
    assert [pin.roots for pin in site.content.images.list_pins()] == [(Root(AMD.digest, True),)]


async def test_unpinned_it_may_go(site: Site) -> None:
    """Unpinning deletes nothing, allows evictions, and returns whether there was a pin."""
    await site.pull(HERE, AMD, "1")
    await site.pin(HERE, TAG, [])
    before = site.list_files()
    assert await site.content.images.unpin([(HERE, TAG)])
    assert not await site.content.images.unpin([(HERE, TAG)])
    assert site.list_files() == before == {each.encoded for each in await site.list_evictable()}


async def test_pins_outlive_the_catalog(site: Site) -> None:
    """Every pin is also in `pins.json`, and a removed pin is not."""
    await pull_index(site)
    await site.pin(HERE, TAG, ["linux/amd64"])
    await site.pin(HERE, INDEX.digest, [])
    await site.content.images.unpin([(HERE, INDEX.digest)])
    before = site.content.images.list_pins()
    await site.database.write(lambda rows: rows.execute("DELETE FROM pins"))
    await site.content.rebuild.recover(9.0)
    assert site.content.images.list_pins() == before
