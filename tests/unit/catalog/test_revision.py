"""Laws of the revision: it grows only when a manifest in memory may be out of date."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from registry.catalog.tag_hold import TagHold
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, THERE, Site, make_image, open_site

OLD, NEW = make_image(b"old"), make_image(b"new")
TAG = Tag("1")
Act = Callable[[Site], Awaitable[object]]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        await site.pull(HERE, OLD, "1")
        yield site


async def remove(site: Site) -> None:
    (removal,) = (await site.removal.plan([(HERE, TAG)])).removals
    await site.removal.apply(removal)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda site: site.pull(HERE, NEW, "1"), id="the tag leads to another image"),
        pytest.param(remove, id="the image is removed"),
        pytest.param(
            lambda site: site.manifests.hold_tag(HERE, TAG, OLD.digest, TagHold(due=9.0)),
            id="the tag has to be decided again",
        ),
        pytest.param(
            lambda site: site.manifests.record(
                HERE, OLD.manifest, TAG, 9.0, hold=TagHold(is_rolled_back=True)
            ),
            id="the tag was rolled back to what it leads to",
        ),
    ],
)
async def test_a_change_of_what_is_known_counts(site: Site, act: Act) -> None:
    """The revision grows with each change that makes a manifest in memory wrong."""
    before = site.manifests.read_revision()
    await act(site)
    assert site.manifests.read_revision() > before


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda site: site.note_pulls((HERE, OLD.digest, 1.0)), id="a pull"),
        pytest.param(
            lambda site: site.manifests.confirm_tag(HERE, TAG, OLD.digest, 9.0),
            id="a confirmed tag",
        ),
        pytest.param(lambda site: site.pull(HERE, OLD, "1"), id="the same image again"),
        pytest.param(lambda site: site.pull(HERE, NEW, "2"), id="a new image"),
        pytest.param(lambda site: site.pull(THERE, NEW, "1"), id="an image of another repository"),
    ],
)
async def test_other_changes_do_not_count(site: Site, act: Act) -> None:
    """Other changes do not change the revision."""
    before = site.manifests.read_revision()
    await act(site)
    assert before == site.manifests.read_revision()
