"""Layers that a manifest names, and that its registry need not have."""

import json

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.foreign_layers import describe_foreign
from registry.oci.manifest import Descriptor, parse_manifest

LAYER = Digest.of(b"layer")
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NOT_DISTRIBUTED = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"


def read(kind: str, urls: object) -> Descriptor:
    """Return the only layer of a manifest, with this media type and field `urls`."""
    layer = {"mediaType": kind, "digest": str(LAYER), "size": 5}
    layer |= {} if urls is None else {"urls": urls}
    config = {"mediaType": "application/json", "digest": str(Digest.of(b"{}")), "size": 2}
    document = {"schemaVersion": 2, "config": config, "layers": [layer]}
    return parse_manifest(json.dumps(document).encode(), media_types.OCI_MANIFEST).blobs[1]


@pytest.mark.parametrize(
    ("kind", "urls", "found"),
    [
        (GZIP, ["https://h/x"], ("https://h/x",)),
        (GZIP, ["https://h/1", "https://h/2"], ("https://h/1", "https://h/2")),
        (FOREIGN, None, ()),
        (NOT_DISTRIBUTED, [], ()),
        (GZIP, [f"https://h/{n}" for n in range(99)], tuple(f"https://h/{n}" for n in range(10))),
    ],
)
def test_foreign_layers_are_known(kind: str, urls: object, found: tuple[str, ...]) -> None:
    """A layer is foreign by its media type, or because it has URLs."""
    assert (read(kind, urls).is_foreign, read(kind, urls).urls) == (True, found)


@pytest.mark.parametrize(
    "urls",
    [None, [], "https://h/x", {}, 5, [5, None, {}], ["https://h/\u00e4"], ["h\n"], ["h" * 2000]],
)
def test_other_layers_are_not(urls: object) -> None:
    """What is not a URL that can be printed is left out."""
    assert (read(GZIP, urls).is_foreign, read(GZIP, urls).urls) == (False, ())


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (["https://h/x"], "clients download it from https://h/x"),
        ([], "the image names no other place"),
    ],
)
def test_foreign_layer_is_described(urls: list[str], words: str) -> None:
    """The sentence says which layer it is, and where it is."""
    sentence = describe_foreign(read(FOREIGN, urls))
    assert str(LAYER) in sentence
    assert words in sentence
