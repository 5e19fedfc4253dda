"""How long the pages of a large mirror take: 10,000 images and 1,000,000 blobs."""

import statistics
import time

import pytest

from registry.store.data_folder import open_folder
from tests.conftest import MirrorMaker
from tests.harness.console_browser import ConsoleBrowser
from tests.harness.large_catalog import fill_catalog, name_repository
from tests.harness.sizes import list_sizes
from tests.integration.wire import wait_until

LIST, FILTER, OVERVIEW = 0.3, 0.1, 0.1  # seconds
LARGEST_PAGE = 150_000  # bytes


@pytest.mark.alone
@pytest.mark.parametrize("images", list_sizes(long=2_000, full=10_000, seconds=600))
def test_pages_of_a_large_mirror_are_fast(
    make_mirror: MirrorMaker, images: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The median of each page is below its bar, while what takes long is added up behind it."""
    folder = open_folder(tmp_path_factory.mktemp("large") / "data")
    fill_catalog(folder.catalog, images, layers=100)
    mirror = make_mirror({"storage": {"path": str(folder.root), "limit": "4TiB"}}, workers=1)
    console = ConsoleBrowser(mirror)
    wait_until(lambda: console.read("/")["blobs"] is not None, "all is added up")
    middle = name_repository(images // 2)

    took = {
        path: measure(console, path)
        for path in (
            "/",
            "/images",
            f"/images?after=~{middle}:1.1",
            "/images?sort=size",
            "/images?sort=pulled",
            "/images?q=app-0004",
            "/images?q=absent",
            "/images?sort=group",
            f"/images?in={middle}",
            f"/image?name={middle}:1.1",
            "/clients",
        )
    }

    assert took["/"] <= OVERVIEW, took
    assert max(seconds for path, seconds in took.items() if "q=" in path) <= FILTER, took
    assert max(took.values()) <= LIST, took
    assert len(console.ask("/images").text) <= LARGEST_PAGE


def measure(console: ConsoleBrowser, path: str) -> float:
    times = []
    for _ in range(7):
        began = time.monotonic()
        assert console.ask(path).status == 200
        times.append(time.monotonic() - began)
    return statistics.median(times)
