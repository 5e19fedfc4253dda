"""Which programs can read which bundle; tests/clients/test_bundle_tools.py runs these programs."""

from dataclasses import replace
from pathlib import Path

import pytest

from registry.bundle.format.lock import ImageRequest
from registry.bundle.read.compatibility import find_readers, format_readers
from registry.bundle.write.choice import Choice
from registry.oci.digest import Digest
from tests.harness.bundles import plan_bundle
from tests.harness.filled_folder import open_filled, split


async def describe(folder: Path, mode: str, *, have: bytes = b"") -> str:
    """Return the line about a bundle of an image for two platforms, one of which is chosen."""
    async with open_filled(folder) as filled:
        amd = await filled.put_image("docker.io/library/app", [b"amd"])
        arm = await filled.put_image("docker.io/library/app", [b"arm"], platform="linux/arm64")
        children = {"linux/amd64": amd, "linux/arm64": arm}
        await filled.put_index("docker.io/library/app:1", children)
        repository, tag = split("docker.io/library/app:1")
        assert tag is not None
        choice = Choice(mode, ("linux/amd64",), frozenset({Digest.of(have)} if have else ()))
        plan = await filled.content.planner.plan([ImageRequest(repository, tag)], choice)
        return str(find_readers(plan.lock, plan.manifests))


async def test_a_complete_bundle_is_read_by_all_programs(tmp_path: Path) -> None:
    """If all platforms are included, the line names no unable program."""
    assert "not readable by" not in await describe(tmp_path / "complete", "complete")
    assert "not readable by" not in await describe(tmp_path / "flat", "flat")


async def test_a_sparse_index_is_not_read_by_programs_that_take_all(tmp_path: Path) -> None:
    """Programs that take one platform read it; for the others, the line names other modes."""
    able, _, unable = (await describe(tmp_path, "subset")).partition("\nnot readable by: ")
    assert "docker load" in able
    assert unable.startswith("ctr images import --all-platforms, kind load")
    assert unable.endswith(
        ", skopeo copy --all, because some platforms are left out; --mode complete, or --mode flat"
        " with one platform, changes it"
    )


async def test_a_delta_is_read_by_entrepot_alone(tmp_path: Path) -> None:
    """Other programs cannot read a bundle without all layers, and are listed."""
    output = await describe(tmp_path, "complete", have=b"amd")
    assert output.startswith("readable by: entrepot bundle import\nnot readable by: docker load")


async def test_images_of_docker_are_not_read_by_all_programs(tmp_path: Path) -> None:
    """Programs that know only OCI's media types are listed, with the cure."""
    async with open_filled(tmp_path) as filled:
        config = {"mediaType": "application/vnd.docker.container.image.v1+json"}
        config |= await filled.put_blob(b'{"os": "linux", "architecture": "amd64"}')
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        document = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
        await filled.put_document("docker.io/library/redis:7", document)
        plan = await plan_bundle(filled, ["docker.io/library/redis:7"])
    able, _, unable = str(find_readers(plan.lock, plan.manifests)).partition("\nnot readable by: ")
    assert "skopeo (docker-archive:)" in able
    assert "umoci" not in able
    assert unable.startswith(
        "skopeo (oci-archive:), umoci, skopeo copy --all, because some images have"
    )
    assert "kind load" in able


@pytest.mark.parametrize("where", ["blob", "manifest", "child"])
async def test_sha512_digests_are_not_read_by_all_programs(tmp_path: Path, where: str) -> None:
    """Programs that know sha256 only are listed once, wherever the other digest is."""
    long = Digest.of(b"long", "sha512")
    async with open_filled(tmp_path) as filled:
        amd = await filled.put_image("docker.io/library/app", [b"amd"])
        arm = await filled.put_image("docker.io/library/app", [b"arm"], platform="linux/arm64")
        children = {"linux/amd64": amd, "linux/arm64": arm}
        await filled.put_index("docker.io/library/app:1", children)
        plan = await plan_bundle(filled, ["docker.io/library/app:1"])
    blobs, kinds, manifests = [*plan.lock.blobs], {**plan.lock.manifests}, {**plan.manifests}
    if where == "blob":
        blobs.append((long, 4))
    else:  # the index itself, or the image that it lists first
        old = plan.lock.images[0].root.digest if where == "manifest" else amd.digest
        blobs = [(long if digest == old else digest, size) for digest, size in blobs]
        kinds = {long if digest == old else digest: kind for digest, kind in kinds.items()}
        manifests = {long if digest == old else digest: each for digest, each in manifests.items()}
    lock = replace(plan.lock, blobs=tuple(blobs), manifests=kinds)

    readers = find_readers(lock, manifests)

    assert readers.able == ("entrepot", "podman load", "skopeo (docker-archive:)", "oras")
    names = [name for each in readers.unable for name in each.programs]
    assert len(set(names)) == len(names)
    assert {"docker load", "ctr images import", "kind load", "k3s images folder"} <= {*names}
    assert "they know sha256 digests only" in str(readers)


async def test_volumes_are_joined_first(tmp_path: Path) -> None:
    """Other programs need one file: the line says so if they could read it."""
    async with open_filled(tmp_path) as filled:
        image = await filled.put_image("docker.io/library/app:1", [b"layer"])
        plan = await plan_bundle(filled, ["docker.io/library/app:1"])
        delta = await plan_bundle(filled, ["docker.io/library/app:1"], frozenset(image.layers))
    output = format_readers(plan.lock, plan.manifests, "volumes")
    assert output == "readable by: entrepot; by others after bundle join has written one file"
    assert "layers are omitted" in format_readers(delta.lock, delta.manifests, "volumes")


async def test_only_some_programs_read_a_folder(tmp_path: Path) -> None:
    """The line names these as they are called with a folder; the others need one file."""
    async with open_filled(tmp_path) as filled:
        image = await filled.put_image("docker.io/library/app:1", [b"layer"])
        plan = await plan_bundle(filled, ["docker.io/library/app:1"])
        delta = await plan_bundle(filled, ["docker.io/library/app:1"], frozenset(image.layers))
    assert format_readers(plan.lock, plan.manifests, "folder") == (
        "readable by: entrepot, oras (--oci-layout), skopeo (oci:), umoci, skopeo copy --all (oci:)"
        "; by others after bundle join has written one file"
    )
    of_delta = format_readers(delta.lock, delta.manifests, "folder")
    assert of_delta == str(find_readers(delta.lock, delta.manifests))
