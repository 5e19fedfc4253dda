"""Bundles made of a data folder, as files, without the command line."""

from pathlib import Path

from registry.bundle.contents import Contents, list_whole
from registry.bundle.plan import Choice, Plan, Want
from registry.bundle.views import write_head
from registry.bundle.writing import write_file
from registry.oci.names import parse_reference
from registry.store.folder import open_folder
from registry.storehouse import open_shelves
from tests.harness.depot import Depot, split


async def pack(
    depot: Depot,
    path: Path,
    *names: str,
    choice: Choice | None = None,
) -> Plan:
    """Write a bundle of images (`registry/repository:tag`), of linux/amd64 without a choice."""
    wants = [
        Want(repository, tag or parse_reference("latest")) for repository, tag in map(split, names)
    ]
    plan = await depot.storehouse.planner.plan(wants, choice or Choice("subset", ("linux/amd64",)))
    assert plan.failures == {}
    store = open_shelves(open_folder(depot.path)).store
    contents = Contents(write_head(plan.lock, plan.manifests), list_whole(plan.lock), store)
    await write_file(contents, path, lambda _: None)
    return plan
