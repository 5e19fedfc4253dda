"""Which programs can read which bundle."""

import json
from dataclasses import replace

from registry.bundle.lock import Lock, LockedImage
from registry.bundle.readers import is_sparse, list_readers
from registry.oci import media
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, parse_manifest
from registry.oci.names import parse_reference, parse_repository

ROOT = Descriptor(media.OCI_INDEX, Digest.of(b"index"), 5)
IMAGE = LockedImage(
    parse_repository("docker.io/library/app"), parse_reference("1"), ROOT, ("linux/amd64",)
)
SPARSE = replace(IMAGE, missing=("linux/arm64",))


def make_lock(*images: LockedImage, omitted: int = 0) -> Lock:
    left_out = tuple((Digest.of(bytes([n])), 1) for n in range(omitted))
    return Lock("subset", images, {ROOT.digest: ROOT.media_type}, ((ROOT.digest, 5),), left_out)


def list_unable(lock: Lock) -> list[str]:
    return [each.command for each in list_readers(lock) if not each.can_read]


def test_a_complete_bundle_of_one_image_is_read_by_everybody() -> None:
    """Nothing is lacking, so nobody is told to do without."""
    lock = make_lock(IMAGE)
    assert not is_sparse(lock)
    assert list_unable(lock) == []


def test_a_sparse_index_stops_those_who_want_all_of_it() -> None:
    """Who takes one platform reads it; who takes all is told of the mode that helps."""
    lock = make_lock(SPARSE)
    assert is_sparse(lock)
    assert list_unable(lock) == [
        "ctr images import --all-platforms",
        "kind load image-archive",
        "k3s agent/images",
        "skopeo copy --all",
    ]
    assert all("--mode flat" in str(each) for each in list_readers(lock) if not each.can_read)


def test_a_delta_is_read_by_entrepot_alone() -> None:
    """What lacks layers would be refused by the others, each in its own words."""
    readers = list_readers(make_lock(IMAGE, omitted=1))
    assert [str(each) for each in readers if each.can_read] == ["entrepot bundle import: yes"]


def test_what_has_no_tag_cannot_be_named_to_docker() -> None:
    """Archives of docker know tags only, so an image by digest alone gets no name there."""
    nameless = replace(IMAGE, reference=parse_reference(str(ROOT.digest)))
    assert list_unable(make_lock(nameless)) == ["docker load", "podman load", "crane push"]


def test_crane_takes_one_image() -> None:
    """Two images are one too many; two names of the same are not."""
    other = replace(IMAGE, root=replace(ROOT, digest=Digest.of(b"other")))
    again = replace(IMAGE, reference=parse_reference("2"))
    assert list_unable(make_lock(IMAGE, other)) == ["crane push"]
    assert list_unable(make_lock(IMAGE, again)) == []


def test_signatures_count_for_nothing() -> None:
    """A tag that holds a signature is no image that anybody loads."""
    extra = replace(SPARSE, is_extra=True, root=replace(ROOT, digest=Digest.of(b"sig")))
    assert list_unable(make_lock(IMAGE, extra)) == []


def test_what_is_for_no_platform_makes_an_index_sparse_too() -> None:
    """An index may list what names no platform; who takes all of it asks for that as well."""
    child = {"mediaType": media.OCI_MANIFEST, "digest": str(Digest.of(b"child")), "size": 5}
    document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [child]}
    index = parse_manifest(json.dumps(document).encode(), media.OCI_INDEX, ROOT.digest)
    assert not is_sparse(make_lock(IMAGE))
    assert is_sparse(make_lock(IMAGE), {ROOT.digest: index})
