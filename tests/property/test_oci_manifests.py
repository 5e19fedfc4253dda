"""Laws of manifests: any bytes are read, or refused as ManifestInvalid."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from registry.errors import ManifestInvalid
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest

descriptors = st.builds(
    lambda content, kind: {
        "mediaType": kind,
        "digest": str(Digest.of(content)),
        "size": len(content),
    },
    st.binary(max_size=4),
    st.sampled_from(["application/x", media_types.OCI_MANIFEST]),
)
keys = st.sampled_from(
    [
        "schemaVersion",
        "mediaType",
        "manifests",
        "layers",
        "config",
        "blobs",
        "subject",
        "artifactType",
        "annotations",
        "fsLayers",
        "digest",
        "size",
        "Layers",
        "x",
    ]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | descriptors
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6)
)
types = st.sampled_from(sorted(media_types.MANIFESTS))


@given(st.binary(max_size=60) | documents.map(lambda found: json.dumps(found).encode()), types)
def test_nothing_else_is_raised(raw: bytes, content_type: str) -> None:
    """Any bytes are a manifest that can be served, or refused as ManifestInvalid."""
    try:
        manifest = parse_manifest(raw, content_type)
    except ManifestInvalid:
        return
    assert manifest.raw == raw
    assert (content_type in media_types.INDEXES) or not manifest.children
    texts = [manifest.artifact_type, *manifest.annotations, *manifest.annotations.values()]
    assert "".join(texts).encode().decode() == "".join(texts)


@given(descriptors, st.lists(descriptors, max_size=8))
def test_blobs_are_those_named_once_each(config: dict[str, Any], layers: list[Any]) -> None:
    """The blobs of an image are its config and layers, in order, each once."""
    raw = json.dumps({"config": config, "layers": layers}).encode()

    blobs = parse_manifest(raw, media_types.OCI_MANIFEST).blobs

    named = [config["digest"], *(layer["digest"] for layer in layers)]
    assert list(dict.fromkeys(named)) == [str(blob.digest) for blob in blobs]
