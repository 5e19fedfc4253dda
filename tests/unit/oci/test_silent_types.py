"""Laws of manifests that do not say in themselves what they are."""

import json

import pytest

from registry.errors import ManifestInvalid
from registry.oci import media_types
from registry.oci.manifest import parse_manifest


@pytest.mark.parametrize("declared", [{}, {"mediaType": ""}])
@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ({"layers": []}, media_types.DOCKER_MANIFEST),
        ({"manifests": []}, media_types.DOCKER_LIST),
        ({"blobs": []}, media_types.OCI_ARTIFACT),
        ({}, media_types.OCI_ARTIFACT),
    ],
)
def test_whoever_is_first_decides_no_type(
    document: dict[str, object], content_type: str, declared: dict[str, object]
) -> None:
    """Without `mediaType` bytes are an OCI index or manifest, whatever an upstream calls them."""
    raw = json.dumps({"schemaVersion": 2} | document | declared).encode()
    with pytest.raises(ManifestInvalid, match="no mediaType"):
        parse_manifest(raw, content_type)


def test_an_index_may_be_silent() -> None:
    """The OCI types are told apart by their fields alone."""
    raw = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    assert parse_manifest(raw, media_types.OCI_INDEX).media_type == media_types.OCI_INDEX
