"""Laws of the readers of one download: clients that are too many are told so, and nobody else."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry.errors import TooManyReaders
from registry.settings.model import LimitSettings
from registry.store.data_folder import open_folder
from tests.unit.mirror.download_site import DIGEST, REPOSITORY, Site, finish

MOST = 2


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack, LimitSettings(readers_per_download=MOST))


async def test_a_download_has_so_many_readers(site: Site) -> None:
    """The next client is refused with the number and the setting, until one of them has left."""
    site.tap.allowance = 0
    process = await site.open_parts()
    downloads = process.downloads
    download, _ = downloads.join(site.order(), is_for_client=True)
    downloads.join(site.order(), is_for_client=True)

    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(TooManyReaders, match=r"2 clients .*limits\.readers_per_download"):
                downloads.join(site.order(), is_for_client=True)
    download.leave()
    joined, is_joined = downloads.join(site.order(), is_for_client=True)

    assert (joined, is_joined) == (download, True)
    assert [
        (each["event"], each["blob"], each["repository"], each["clients"]) for each in lines
    ] == [("too many clients for one download", str(DIGEST), str(REPOSITORY), MOST)]
    counted = process.metrics.registry.get_sample_value(
        "entrepot_refused_requests_total", {"reason": "download"}
    )
    assert counted == 2
    site.tap.flow()
    await finish(download)


async def test_the_mirror_itself_is_no_client(site: Site) -> None:
    """Who prefetches waits for the end of the download, and sends nothing to anybody."""
    site.tap.allowance = 0
    downloads = await site.open_process()
    download, _ = downloads.join(site.order(), is_for_client=True)
    downloads.join(site.order(), is_for_client=True)

    joined, is_joined = downloads.join(site.order())

    assert (joined, is_joined) == (download, True)
    site.tap.flow()
    await finish(download)


async def test_the_next_download_has_readers_of_its_own(site: Site) -> None:
    """Readers of a download that has ended, who read slowly, keep nobody out."""
    downloads = await site.open_process()
    for _ in range(MOST):
        downloads.join(site.order(), is_for_client=True)
    download, _ = downloads.join(site.order())
    await finish(download)

    another, is_joined = downloads.join(site.order(), is_for_client=True)

    assert not is_joined
    await finish(another)
