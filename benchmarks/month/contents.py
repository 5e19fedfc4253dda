"""The contents of the images of a month, by digest."""

import random

from benchmarks.month.script import Month
from registry.oci.digest import Digest
from tests.fakes.upstream.images import CONFIG, GZIP_LAYER, MANIFEST, build_manifest, describe


class ImageContents:
    """The images of a month: `images` are their manifests, each with its blobs.

    `contents` has all bytes by the text of the digest.
    """

    def __init__(self, month: Month) -> None:
        longest = max(max(image.layers) for image in month.images)
        count = sum(len(image.layers) for image in month.images)
        data = memoryview(random.Random(month.seed).randbytes(longest + count))  # noqa: S311 - it has to be the same again
        self.contents: dict[str, memoryview] = {}
        self.sizes: dict[Digest, int] = {}
        self.images: list[tuple[Digest, list[Digest]]] = []
        for image in month.images:
            # Each begins at another place, so that all differ.
            places = range(len(self.sizes), len(self.sizes) + len(image.layers))
            spans = zip(places, image.layers, strict=True)
            blobs = [self._add(data[place : place + size]) for place, size in spans]
            self.images.append((self._add(self._write_manifest(blobs)), blobs))

    def _add(self, content: memoryview) -> Digest:
        digest = Digest.of(bytes(content))
        self.contents[str(digest)] = content
        self.sizes[digest] = len(content)
        return digest

    def _write_manifest(self, blobs: list[Digest]) -> memoryview:
        types = [CONFIG["oci"], *[GZIP_LAYER["oci"]] * (len(blobs) - 1)]
        config, *layers = [
            describe(media_type, str(digest), self.sizes[digest])
            for media_type, digest in zip(types, blobs, strict=True)
        ]
        return memoryview(build_manifest(MANIFEST["oci"], {"config": config, "layers": layers}))
