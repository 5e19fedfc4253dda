"""Laws of manifests without the field `mediaType`."""

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
def test_the_content_type_does_not_decide(
    document: dict[str, object], content_type: str, declared: dict[str, object]
) -> None:
    """Bytes without `mediaType` are an OCI index or manifest, whatever the Content-Type is."""
    raw = json.dumps({"schemaVersion": 2} | document | declared).encode()
    with pytest.raises(ManifestInvalid, match="no mediaType"):
        parse_manifest(raw, content_type)


def test_an_index_may_have_no_media_type() -> None:
    """An OCI index without `mediaType` is recognised by its fields."""
    raw = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    assert parse_manifest(raw, media_types.OCI_INDEX).media_type == media_types.OCI_INDEX
