"""Laws of rows about manifests, tags, and which repository may serve which blob."""

import json

from registry.catalog.blob_access import BlobAccess, BlobAccessCatalog
from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog, TagRecord
from registry.catalog.rate_limits import RateLimitCatalog
from registry.catalog.upstream_lists import UpstreamListCatalog, UpstreamListRecord
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.oci.rate_limits import RateLimit

HERE = Repository("docker.io", "library/a")
THERE = Repository("ghcr.io", "library/a")
CONFIG, LAYER, OTHER = (Digest.of(name) for name in (b"config", b"layer", b"other"))
LATEST = Tag("latest")


def describe(digest: Digest, size: int = 7, media_type: str = "x") -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(digest), "size": size}


def image(*layers: Digest, **more: object) -> Manifest:
    described = [describe(each, 100) for each in layers]
    document = {"config": describe(CONFIG), "layers": described} | more
    return parse_manifest(json.dumps(document).encode(), media_types.OCI_MANIFEST)


def index(*children: Manifest) -> Manifest:
    described = [describe(each.digest, len(each.raw), each.media_type) for each in children]
    return parse_manifest(json.dumps({"manifests": described}).encode(), media_types.OCI_INDEX)


async def test_tag_leads_where_it_was_recorded(manifests: ManifestCatalog) -> None:
    """A tag leads to the manifest that was recorded last, in its repository only."""
    first, second = image(), image(LAYER)
    await manifests.record(HERE, first, LATEST, 1.0)
    await manifests.record(HERE, second, LATEST, 2.0)

    assert TagRecord(second.digest, 2.0) == manifests.find_tag(HERE, LATEST)
    assert manifests.find_tag(THERE, LATEST) is None
    assert manifests.find_tag(HERE, Tag("other")) is None


async def test_confirming_moves_only_the_time(manifests: ManifestCatalog) -> None:
    """A confirmed tag has a new time, and leads to the same manifest."""
    await manifests.record(HERE, image(), LATEST, 1.0)
    await manifests.confirm_tag(HERE, LATEST, image().digest, 9.0)
    assert TagRecord(image().digest, 9.0) == manifests.find_tag(HERE, LATEST)


async def test_only_the_confirmed_manifest_has_a_new_time(manifests: ManifestCatalog) -> None:
    """A tag that was moved since the upstream was asked keeps the time at which it was moved."""
    moved = image(LAYER)
    await manifests.record(HERE, image(), LATEST, 1.0)
    await manifests.record(HERE, moved, LATEST, 2.0, bundle="b", signer="s")
    await manifests.confirm_tag(HERE, LATEST, image().digest, 9.0)
    assert TagRecord(moved.digest, 2.0, "b", "s") == manifests.find_tag(HERE, LATEST)


async def test_manifest_by_digest_needs_no_tag(manifests: ManifestCatalog) -> None:
    """A manifest that was pulled by digest is recorded without a tag."""
    await manifests.record(HERE, image(), None, 1.0)

    assert manifests.find_held(HERE, image().digest) == media_types.OCI_MANIFEST
    assert manifests.list_tags(HERE) == []


async def test_manifest_is_held_by_its_repository_only(manifests: ManifestCatalog) -> None:
    """A manifest of one repository is not a manifest of another."""
    await manifests.record(HERE, image(), LATEST, 1.0)

    assert manifests.find_held(THERE, image().digest) is None
    assert manifests.find_media_type(image().digest) == media_types.OCI_MANIFEST


async def test_children_of_an_index_belong_to_the_repository(manifests: ManifestCatalog) -> None:
    """Children of an index are listed children, but not yet held manifests."""
    child = image(LAYER)
    await manifests.record(HERE, index(child), LATEST, 1.0)

    assert manifests.names_child(HERE, child.digest)
    assert not manifests.names_child(THERE, child.digest)
    assert not manifests.names_child(HERE, LAYER)
    assert manifests.find_held(HERE, child.digest) is None


async def test_recording_again_changes_nothing(manifests: ManifestCatalog) -> None:
    """A second repository with the same manifest adds only a row that it has it."""
    for repository in (HERE, THERE, HERE):
        await manifests.record(repository, image(LAYER), LATEST, 1.0)
    assert [str(HERE), str(THERE)] == manifests.list_repositories("", 10)
    assert [str(HERE)] == manifests.list_repositories("", 1)
    assert [str(THERE)] == manifests.list_repositories(str(HERE), 10)
    assert [str(THERE)] == manifests.list_repositories("ghcr", 10)
    assert manifests.list_repositories(str(THERE), 10) == []
    assert manifests.list_repositories("", 0) == []


async def test_tags_are_in_ascii_order(manifests: ManifestCatalog) -> None:
    """Tags are listed as the specification orders them."""
    for tag in ("b", "B", "a", "_", "10", "9"):
        await manifests.record(HERE, image(), Tag(tag), 1.0)
    assert manifests.list_tags(HERE) == ["10", "9", "B", "_", "a", "b"]


async def test_referrers_are_found(manifests: ManifestCatalog) -> None:
    """Manifests with a subject are listed for the subject, in their own repository."""
    subject = image()
    signature = image(
        OTHER,
        subject=describe(subject.digest, len(subject.raw)),
        artifactType="a/signature",
        annotations={"by": "me"},
    )
    await manifests.record(HERE, signature, None, 1.0)

    (found,) = manifests.list_referrers(HERE, subject.digest)

    assert (
        Descriptor(media_types.OCI_MANIFEST, signature.digest, len(signature.raw))
        == found.descriptor
    )
    assert (found.artifact_type, found.annotations) == ("a/signature", {"by": "me"})
    assert manifests.list_referrers(THERE, subject.digest) == []


async def test_unknown_blob_has_no_size(blobs: BlobAccessCatalog) -> None:
    """A blob that no manifest refers to has no size here, even if it is stored."""
    assert await blobs.find(HERE, LAYER) is None


async def test_blob_is_known_through_its_manifest(
    manifests: ManifestCatalog, blobs: BlobAccessCatalog
) -> None:
    """A repository may serve the config and the layers of its manifests."""
    await manifests.record(HERE, image(LAYER), LATEST, 1.0)

    assert await blobs.find(HERE, LAYER) == BlobAccess(100)
    assert await blobs.find(HERE, CONFIG) == BlobAccess(7)
    assert await blobs.find(THERE, LAYER) is None
    assert await blobs.find(HERE, OTHER) is None


async def test_index_makes_no_blob_known(
    manifests: ManifestCatalog, blobs: BlobAccessCatalog
) -> None:
    """An index does not allow its repository to serve the layers of its children."""
    child = image(LAYER)
    await manifests.record(THERE, child, None, 1.0)
    await manifests.record(HERE, index(child), LATEST, 1.0)

    assert await blobs.find(HERE, LAYER) is None
    assert await blobs.find(HERE, child.digest) is None


async def test_grant_is_for_one_repository(blobs: BlobAccessCatalog) -> None:
    """A blob that the upstream confirmed may be served by that repository only."""
    await blobs.grant(HERE, LAYER, 55, 1.0)
    await blobs.grant(HERE, LAYER, 66, 2.0)

    assert await blobs.find(HERE, LAYER) == BlobAccess(66, 2.0)
    assert await blobs.find(THERE, LAYER) is None


async def test_a_withdrawn_grant_counts_no_more(blobs: BlobAccessCatalog) -> None:
    """A grant is deleted for one repository only."""
    for repository in (HERE, THERE):
        await blobs.grant(repository, LAYER, 55, 1.0)
    await blobs.withdraw(HERE, LAYER)

    assert await blobs.find(HERE, LAYER) is None
    assert await blobs.find(THERE, LAYER) == BlobAccess(55, 1.0)


async def test_a_manifest_needs_no_grant(
    manifests: ManifestCatalog, blobs: BlobAccessCatalog
) -> None:
    """If a manifest refers to the blob, it does not matter how old the grant is."""
    await blobs.grant(HERE, LAYER, 55, 1.0)
    await manifests.record(HERE, image(LAYER), LATEST, 1.0)

    assert await blobs.find(HERE, LAYER) == BlobAccess(100)


async def test_lists_are_kept(database: Database) -> None:
    """The newest list of a subject is kept for each repository."""
    lists = UpstreamListCatalog(database)
    await lists.record(HERE, "tags", ["a"], 1.0)
    await lists.record(HERE, "tags", ["a", "b"], 2.0)

    assert UpstreamListRecord(["a", "b"], 2.0) == lists.find(HERE, "tags")
    assert lists.find(THERE, "tags") is None
    assert lists.find(HERE, str(LAYER)) is None


async def test_warning_of_a_list_is_kept_with_it(database: Database) -> None:
    """A list that was cut stays known as cut, until a whole list replaces it."""
    lists = UpstreamListCatalog(database)
    await lists.record(HERE, "tags", ["a"], 1.0, warning="cut")
    assert UpstreamListRecord(["a"], 1.0, "cut") == lists.find(HERE, "tags")

    await lists.record(HERE, "tags", ["a", "b"], 2.0)
    assert UpstreamListRecord(["a", "b"], 2.0) == lists.find(HERE, "tags")


async def test_rate_limits_are_kept_by_identity(database: Database) -> None:
    """The newest pull limit of an endpoint is kept for each identity."""
    limits = RateLimitCatalog(database)
    for identity, remaining in (("", 9), ("acme", 50), ("", 8)):
        await limits.record(RateLimit("https://h", identity, 100, remaining, 6.0, "", 1.0))
    assert await limits.list_all() == [
        RateLimit("https://h", "", 100, 8, 6.0, "", 1.0),
        RateLimit("https://h", "acme", 100, 50, 6.0, "", 1.0),
    ]
