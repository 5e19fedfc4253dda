"""Tags that are made from the digest of another manifest."""

import json

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.names import Tag, parse_reference
from registry.oci.referrers_tags import cosign_tags, is_referrer, is_referrers_tag, referrers_tag

SHORT, LONG = Digest.of(b"image"), Digest.of(b"image", "sha512")
CONFIG = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(SHORT), "size": 2}


@pytest.mark.parametrize("digest", [SHORT, LONG])
def test_tags_are_legal(digest: Digest) -> None:
    """Each of them is in the grammar of tags, which allows 128 characters."""
    for tag in (referrers_tag(digest), *cosign_tags(digest)):
        assert parse_reference(tag.name) == tag


def test_referrers_tag_is_cut_as_specified() -> None:
    """Of a long digest only 64 characters are used (distribution-spec, "Referrers Tag Schema")."""
    assert referrers_tag(SHORT).name == f"sha256-{SHORT.encoded}"
    assert referrers_tag(LONG).name == f"sha512-{LONG.encoded[:64]}"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (f"sha256-{SHORT.encoded}", True),
        (f"sha256-{SHORT.encoded}.sig", True),
        (f"sha256-{SHORT.encoded}.att", True),
        (f"sha512-{LONG.encoded[:64]}", True),
        ("latest", False),
        ("sha256-abc", False),
        (f"v-sha256-{SHORT.encoded}", False),
        (f"sha256-{SHORT.encoded}-debug", False),
    ],
)
def test_referrers_tags_are_recognized(name: str, *, is_one: bool) -> None:
    """The tags of the specification and of cosign are, other tags are not."""
    assert is_referrers_tag(Tag(name)) is is_one


def test_digest_is_not_a_referrers_tag() -> None:
    """A digest names a manifest, and not what refers to it."""
    assert not is_referrers_tag(SHORT)


@pytest.mark.parametrize(
    ("named", "is_one"),
    [(SHORT, True), (LONG, False), (Digest.of(b"another"), False), (None, False)],
)
def test_only_its_subject_makes_a_referrer(named: Digest | None, *, is_one: bool) -> None:
    """A manifest refers to an image if it names the image as its subject."""
    document: dict[str, object] = {"mediaType": media_types.OCI_MANIFEST, "layers": []}
    if named is not None:
        document["subject"] = {
            "mediaType": media_types.OCI_INDEX,
            "digest": str(named),
            "size": 1,
        }
    raw = json.dumps({"schemaVersion": 2, "config": CONFIG} | document).encode()

    assert is_referrer(parse_manifest(raw, media_types.OCI_MANIFEST), SHORT) is is_one
