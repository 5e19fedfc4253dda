"""The upstreams are gone, the clients' caches empty, the tags long stale: all pull again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.images import Image
from tests.clients.pull_table import Pull
from tests.clients.pullers import Puller
from tests.clients.site import IMAGES, Site

pytestmark = [pytest.mark.timeout(300), pytest.mark.programs]


@pytest.fixture(scope="module", params=["down", "down, mirror restarted"])
def state(request: pytest.FixtureRequest, running_site: Site) -> Iterator[str]:
    """The upstreams are stopped; the mirror had everything, and may have been started since."""
    running_site.warm()
    with running_site.cut_off():
        if request.param != "down":
            assert running_site.mirror.stop() == 0
            running_site.mirror.start()
        yield request.param


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_known_images_still_pull(state: str, puller: Puller, image: Image, pull: Pull) -> None:
    """A client with an empty cache pulls and runs a known image without any upstream."""
    assert image.message == pull(puller, image, state)
