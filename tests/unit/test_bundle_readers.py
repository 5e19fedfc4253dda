"""Which programs can read which bundle; tests/clients/test_bundle_tools.py shows that they can."""

from pathlib import Path

from registry.bundle.plan import Choice, Want
from registry.bundle.readers import find_readers
from registry.oci.digest import Digest
from tests.harness.depot import open_depot, split


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
        plan = await depot.storehouse.planner.plan([Want(repository, tag)], choice)
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
