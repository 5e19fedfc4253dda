"""Laws of `bundle.json`: a lock that is read is consistent and can be printed."""

import json
from dataclasses import replace

import pytest

from registry.bundle.format.lock import Lock, LockedImage, parse_lock
from registry.errors import BundleInvalid
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor
from registry.oci.names import Tag, parse_repository

ROOT = Descriptor(media_types.OCI_MANIFEST, Digest.of(b"root"), 4)
IMAGE = LockedImage(parse_repository("docker.io/library/app"), Tag("1"), ROOT, ("linux/amd64",))
LOCK = Lock("subset", (IMAGE,), {ROOT.digest: ROOT.media_type}, ((ROOT.digest, 4),))


def test_what_is_written_is_read() -> None:
    """The bytes of a lock give the same lock, with the same id."""
    assert parse_lock(LOCK.raw) == LOCK
    assert json.loads(LOCK.raw)["bundleId"] == LOCK.bundle_id


@pytest.mark.parametrize(
    "lock",
    [
        replace(LOCK, manifests={}),
        replace(LOCK, blobs=()),
        replace(LOCK, images=(replace(IMAGE, referrers=(replace(ROOT, digest=Digest.of(b"x")),)),)),
        replace(LOCK, images=(replace(IMAGE, platforms=("\x1b[2J",)),)),
        replace(LOCK, images=(replace(IMAGE, sources=("a\nb",)),)),
        replace(LOCK, requires=("\u202e",)),
    ],
    ids=["root", "blob", "referrer", "platform", "source", "requires"],
)
def test_names_refer_to_manifests_and_are_printable(lock: Lock) -> None:
    """A lock is refused if a name refers to no manifest, or cannot be printed."""
    with pytest.raises(BundleInvalid, match="cannot be read"):
        parse_lock(lock.raw)
