"""Tags that lead to the referrers of a manifest, at registries without the referrers API."""

import re

from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Tag

_COSIGN = (".sig", ".att", ".sbom")  # suffixes of the tags that cosign makes from a digest
_REFERRERS = re.compile(r"sha(?:256|512)-[0-9a-f]{64,128}(?:\.[a-z]+)?")


def referrers_tag(subject: Digest) -> Tag:
    """Return the tag of the list of referrers (distribution-spec, "Referrers Tag Schema")."""
    return Tag(f"{subject.algorithm[:32]}-{subject.encoded[:64]}")


def cosign_tags(subject: Digest) -> list[Tag]:
    """Return the tags under which cosign stores a signature, attestations and an SBOM."""
    return [Tag(f"{subject.algorithm}-{subject.encoded}{suffix}"[:128]) for suffix in _COSIGN]


def is_referrers_tag(reference: Reference) -> bool:
    """Whether a tag is made from the digest of another manifest, by the specification or cosign."""
    return isinstance(reference, Tag) and _REFERRERS.fullmatch(reference.name) is not None


def is_referrer(manifest: Manifest, subject: Digest) -> bool:
    """Whether a manifest says that it refers to `subject` (image-spec, `subject`)."""
    return manifest.subject is not None and manifest.subject.digest == subject
