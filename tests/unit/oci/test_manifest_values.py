"""Laws of the number of values in a manifest: parsing very many takes seconds."""

import pytest

from registry.errors import ManifestInvalid
from registry.oci import media_types
from registry.oci.manifest import MAX_COMMAS, MAX_MANIFEST, parse_manifest


@pytest.mark.parametrize("value", ["{}", '"k%d":0', "0", "[]"])
def test_values_are_limited(value: str) -> None:
    """A document of very many small values is refused before it is parsed."""
    many = ",".join(value % number if "%" in value else value for number in range(MAX_COMMAS + 2))
    raw = (f'{{"layers":{{{many}}}}}' if "%" in value else f'{{"layers":[{many}]}}').encode()

    assert len(raw) < MAX_MANIFEST
    with pytest.raises(ManifestInvalid, match="more than 300000 values"):
        parse_manifest(raw, media_types.OCI_MANIFEST)
