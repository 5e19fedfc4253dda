"""Laws of the tags by which `entrepot doctor` finds out who asks."""

import pytest

from registry.oci.digest import Digest
from registry.oci.names import Reference, Tag, parse_reference
from registry.oci.probe_tags import read_probe, write_probe

NONCE = "0123456789abcdef" * 2


def test_a_probe_is_a_tag_with_a_number() -> None:
    """It is within the grammar of tags, so that every client takes it."""
    tag = write_probe(NONCE)
    assert parse_reference(str(tag)) == tag
    assert read_probe(tag) == NONCE


@pytest.mark.parametrize(
    "reference",
    [
        None,
        Tag("latest"),
        Tag("entrepot-probe-"),
        Tag(f"entrepot-probe-{NONCE}0"),
        Tag(f"entrepot-probe-{NONCE.upper()}"),
        Tag(f"x-entrepot-probe-{NONCE}"),
        Digest.parse(f"sha256:{'0' * 64}"),
    ],
)
def test_other_references_are_no_probes(reference: Reference | None) -> None:
    """A tag that somebody may have pushed is asked for as ever."""
    assert read_probe(reference) == ""
