"""The thinnest whole path: one image through a real mirror."""

import httpx

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess


def test_an_image_comes_through_whole(mirror: MirrorProcess, hub: FakeUpstream) -> None:
    """Manifest and layer arrive byte for byte, and the upstream is asked for each once."""
    image = hub.add_image("library/small", "1", [b"layer" * 1000])

    for _ in range(2):
        manifest = httpx.get(f"{mirror.url}/v2/library/small/manifests/1")
        layer = httpx.get(f"{mirror.url}/v2/library/small/blobs/{image.layers[0]}")

        assert image.manifest == manifest.content
        assert image.media_type == manifest.headers["content-type"]
        assert layer.content == b"layer" * 1000
    assert hub.journal.blob_fetches(image.layers[0]) == 1, hub.journal
