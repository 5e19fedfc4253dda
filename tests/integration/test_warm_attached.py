"""What belongs to warmed images: signatures, SBOMs and attestations come along."""

import json

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.integration.images import add_platforms, is_here, is_warm, pull, warm
from tests.integration.wire import fetch


def test_what_refers_to_an_image_comes_along(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Referrers and cosign's signatures are fetched with the image, those of others are not."""
    index, amd, arm = add_platforms(hub, "team/multi")
    sbom = hub.add_image("team/multi", None, [b"sbom"], subject=amd, artifact_type="a/sbom")
    other = hub.add_image("team/multi", None, [b"other"], subject=arm, artifact_type="a/sbom")
    tag = index.digest.replace(":", "-")
    signature = hub.add_image("team/multi", f"{tag}.sig", [b"signature"])
    mirror = make_mirror(workers=1)

    bare = warm(mirror, "team/multi:1", "--no-attached")
    before = is_here(mirror, [sbom.digest])
    report = warm(mirror, "team/multi:1")
    hub.stop()

    assert (bare["docker.io/team/multi:1"]["attached"], before) == (0, False)
    assert report["docker.io/team/multi:1"]["attached"] == 2
    assert is_warm(mirror, index, amd, sbom, signature)
    assert not is_here(mirror, [arm.digest, other.digest])
    pull(mirror, sbom)


def test_the_tag_scheme_is_followed(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Where an upstream has no referrers API, the list under the digest's tag is read."""
    hub.referrers_supported = False
    image = hub.add_image("team/app", "1", [b"app"])
    sbom = hub.add_image("team/app", None, [b"sbom"], subject=image, artifact_type="a/sbom")
    hub.add_index("team/app", image.digest.replace(":", "-"), [sbom])
    mirror = make_mirror(workers=1)

    warm(mirror, "team/app:1")

    assert is_warm(mirror, image, sbom)


def test_attestations_of_the_platform_come_along(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """What BuildKit attests of a chosen platform is fetched, of the others it is not.

    Docker asks for the referrers of the attestation too, so they are recorded.
    """
    _, amd, arm = add_platforms(hub, "team/multi")
    proofs = [hub.add_image("team/multi", None, [f"proof {n}".encode()]) for n in range(2)]
    entries = [image.describe() for image in (amd, arm)] + [
        proof.describe()
        | {"platform": {"os": "unknown", "architecture": "unknown"}}
        | {"annotations": {"vnd.docker.reference.digest": image.digest}}
        for image, proof in zip((amd, arm), proofs, strict=True)
    ]
    kind = "application/vnd.oci.image.index.v1+json"
    raw = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    hub.add_manifest("team/multi", "proved", raw, kind)
    mirror = make_mirror(workers=1)

    warm(mirror, "team/multi:proved")

    hub.stop()
    listed = fetch(f"{mirror.url}/v2/team/multi/referrers/{proofs[0].digest}")
    assert is_warm(mirror, amd, proofs[0])
    assert not is_here(mirror, [arm.digest, proofs[1].digest])
    assert (listed.json()["manifests"], listed.headers["Warning"]) == ([], None)
