"""Laws of the information that the writer of a download gives to other processes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.store.ingests import IngestInfo, Ingests
from tests.unit.mirror.download_site import CONTENT, DIGEST, Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def test_an_old_announcement_is_believed_by_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an earlier writer stated another size, followers wait for the new one."""
    Ingests(site.folder.ingests).write_info(
        DIGEST, IngestInfo(100, "docker.io/a", "liar", 0.0, ("liar",))
    )
    write_info = Ingests.write_info

    def announce_late(ingests: Ingests, digest: Digest, info: IngestInfo) -> None:
        time.sleep(0.1)  # a busy disk
        write_info(ingests, digest, info)

    monkeypatch.setattr(Ingests, "write_info", announce_late)
    site.tap.allowance = 1000
    leader, _ = (await site.open_process()).join(site.order(None))
    follower, _ = (await site.open_process()).join(site.order(None))
    async with asyncio.timeout(20):
        await follower.started()
    assert follower.size == len(CONTENT) == leader.size
