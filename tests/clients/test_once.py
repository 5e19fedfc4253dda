"""What crosses the upstream link when real clients pull."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clients.pull_table import Pull
from tests.clients.pullers import Puller
from tests.clients.site import IMAGES, Site

pytestmark = [pytest.mark.timeout(300), pytest.mark.programs]


def pull_all(client: Puller, pull: Pull, state: str) -> list[str]:
    """Let one client pull everything; return what it got."""
    return [pull(client, image, state) for image in IMAGES]


@pytest.fixture(params=["one by one", "all at once"])
def pulled(
    request: pytest.FixtureRequest, running_site: Site, pullers: list[Puller], pull: Pull
) -> Site:
    """The site after every client pulled everything through a mirror that had nothing."""
    running_site.chill()
    lanes = 1 if request.param == "one by one" else len(pullers)
    state = f"cold, {request.param}"
    with ThreadPoolExecutor(lanes) as pool:
        got = list(pool.map(lambda client: pull_all(client, pull, state), pullers))
    assert [[image.message for image in IMAGES]] * len(pullers) == got
    return running_site


def test_everything_crosses_the_upstream_link_once(pulled: Site) -> None:
    """Four clients, four images, two upstreams: each blob and each manifest is fetched once."""
    blobs = frozenset().union(*(image.blob_digests for image in IMAGES))
    journals = "\n".join(str(hub.journal) for hub in pulled.upstreams.values())
    assert dict.fromkeys(blobs, 1) == {blob: pulled.blob_fetches(blob) for blob in blobs}, journals
    for image in IMAGES:
        manifests = {manifest.digest: 1 for manifest in image.manifests}
        assert manifests == dict(pulled.manifest_fetches(image)), journals
