"""Which programs can read which bundle; tests/clients/test_bundle_tools.py shows that they can."""

from pathlib import Path

from registry.bundle.format.lock import ImageRequest
from registry.bundle.read.compatibility import find_readers, format_readers
from registry.bundle.write.plan import Choice
from registry.oci.digest import Digest
from tests.harness.bundles import plan_bundle
from tests.harness.filled_folder import open_depot, split


async def tell(folder: Path, mode: str, *, have: bytes = b"") -> str:
    """What is said of a bundle of an image for two platforms, of which one is chosen."""
    async with open_depot(folder) as depot:
        amd = await depot.put_image("docker.io/library/app", [b"amd"])
        arm = await depot.put_image("docker.io/library/app", [b"arm"], platform="linux/arm64")
        children = {"linux/amd64": amd, "linux/arm64": arm}
        await depot.put_index("docker.io/library/app:1", children)
        repository, tag = split("docker.io/library/app:1")
        assert tag is not None
        choice = Choice(mode, ("linux/amd64",), frozenset({Digest.of(have)} if have else ()))
        plan = await depot.content.planner.plan([ImageRequest(repository, tag)], choice)
        return str(find_readers(plan.lock, plan.manifests))


async def test_a_complete_bundle_is_read_by_everybody(tmp_path: Path) -> None:
    """Nothing is lacking, so nobody is told to do without."""
    assert "not by" not in await tell(tmp_path / "complete", "complete")
    assert "not by" not in await tell(tmp_path / "flat", "flat")


async def test_a_sparse_index_stops_those_who_want_all_of_it(tmp_path: Path) -> None:
    """Who takes one platform reads it; who takes all is told of the modes that help."""
    able, _, unable = (await tell(tmp_path, "subset")).partition("; not by: ")
    assert "docker load" in able
    assert unable.startswith("ctr images import --all-platforms, kind load")
    assert unable.endswith("(sparse index: use --mode flat or complete)")


async def test_a_delta_is_read_by_entrepot_alone(tmp_path: Path) -> None:
    """What lacks layers would be refused by the others, each in its own words."""
    told = await tell(tmp_path, "complete", have=b"amd")
    assert told.startswith("readable by: entrepot bundle import; not by: docker load")


async def test_images_of_docker_are_not_for_all_who_read_layouts(tmp_path: Path) -> None:
    """Who knows OCI's media types alone is told as unable, with what does work."""
    async with open_depot(tmp_path) as depot:
        config = {"mediaType": "application/vnd.docker.container.image.v1+json"}
        config |= await depot.put_blob(b'{"os": "linux", "architecture": "amd64"}')
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        document = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
        await depot.put_document("docker.io/library/redis:7", document)
        plan = await plan_bundle(depot, ["docker.io/library/redis:7"])
    able, _, unable = str(find_readers(plan.lock, plan.manifests)).partition("; not by: ")
    assert "skopeo (docker-archive:)" in able
    assert "umoci" not in able
    assert unable.startswith("skopeo (oci-archive:), umoci, skopeo copy --all (some images have")
    assert "kind load" in able


async def test_volumes_are_joined_first(tmp_path: Path) -> None:
    """Whatever is inside; unless nobody but Entrepot could read the one file either."""
    async with open_depot(tmp_path) as depot:
        image = await depot.put_image("docker.io/library/app:1", [b"layer"])
        plan = await plan_bundle(depot, ["docker.io/library/app:1"])
        delta = await plan_bundle(depot, ["docker.io/library/app:1"], frozenset(image.layers))
    told = format_readers(plan.lock, plan.manifests, is_cut=True)
    assert told == "readable by: entrepot; by others after bundle join has written one file"
    assert "layers are left out" in format_readers(delta.lock, delta.manifests, is_cut=True)
