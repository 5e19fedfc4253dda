"""What is durable before what: seen from outside, in the order of the system calls."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.faults.consistency import await_consistency, blob_file, list_rows, read_usage
from tests.faults.load import pull, pull_blob
from tests.faults.tracer import Call, Tracer
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children
from tests.integration.wire import fetch

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

WRITES = frozenset({"write", "pwrite64", "pwritev", "pwritev2"})
SYNCS = frozenset({"fsync", "fdatasync"})
RENAMES = frozenset({"rename", "renameat", "renameat2"})


def trace(mirror: MirrorProcess, folder: Path) -> Tracer:
    """Trace all processes of a mirror with one worker."""
    children = await_truth(lambda: len(found := list_children(mirror.pid)) == 2 and found)
    return Tracer(folder / "trace", [mirror.pid, *children])


def find_rename(calls: list[Call], path: Path) -> Call:
    """The one call that gave a file its final name."""
    (found,) = (each for each in calls if each.name in RENAMES and each.paths[1] == str(path))
    return found


def find(calls: list[Call], names: frozenset[str], path: str | Path) -> list[Call]:
    """The calls of these names on a file."""
    return [each for each in calls if each.name in names and each.paths == (str(path),)]


def assert_durable(calls: list[Call], path: Path) -> Call:
    """All of it was written, synced, then renamed, and then its folder was synced; that sync."""
    listing = "\n".join(map(str, calls))
    rename = find_rename(calls, path)
    former = rename.paths[0]
    written = max(each.ended for each in find(calls, WRITES, former))
    synced = [each for each in find(calls, SYNCS, former) if each.began > written]
    assert synced, f"never synced:\n{listing}"
    assert synced[0].ended < rename.began, f"renamed before it was synced:\n{listing}"
    named = [each for each in find(calls, SYNCS, path.parent) if each.began > rename.ended]
    assert named, f"its folder was never synced after the rename:\n{listing}"
    return named[0]


def test_a_blob_is_durable_before_it_is_recorded(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """Bytes, then the name, then the folder are synced; only then the catalog is written to."""
    digest = hub.add_big_blob(3 * MIB, repository="sync/blob")
    mirror = make_mirror({"storage": {"audit_rate": 0}}, workers=1)
    catalog, path = mirror.data / "catalog.db", blob_file(mirror.data, digest)
    with trace(mirror, tmp_path) as tracer:
        # Without its manifest, since that pull would be noted in the catalog at any moment.
        answer = fetch(f"{mirror.url}/v2/sync/blob/blobs/{digest}")
        await_truth(lambda: list_rows(catalog, "SELECT digest FROM blobs") == [(digest,)])
    calls = tracer.list_calls()

    assert (answer.status, answer.body == hub.blob(digest)) == (200, True)
    named = assert_durable(calls, path)
    shard = [each for each in find(calls, SYNCS, path.parent.parent) if each.ended < named.began]
    noted = find(calls, WRITES, f"{catalog}-wal")
    synced = find(calls, SYNCS, find_rename(calls, path).paths[0])[0]
    assert shard, "the new folder of its folder was not synced"
    assert [each for each in noted if synced.began < each.began < shard[0].ended] == []
    assert [each for each in noted if each.began > shard[0].ended]


def test_a_tag_is_durable_after_its_manifest(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """Bytes first, then what points to them, then the index; each synced before the next."""
    image = hub.add_image("sync/tag", "1", [b"layer"])
    mirror = make_mirror({"storage": {"audit_rate": 0}}, workers=1)
    catalog = mirror.data / "catalog.db"
    folder = mirror.data / "tags" / "docker.io" / "sync" / "tag" / "@"
    with trace(mirror, tmp_path) as tracer:
        fetch(f"{mirror.url}/v2/sync/tag/manifests/1")
        await_truth(lambda: list_rows(catalog, "SELECT tag FROM tags") == [("1",)])
    calls = tracer.list_calls()

    stored = assert_durable(calls, blob_file(mirror.data, image.digest))
    held = assert_durable(calls, folder / f"digest-{image.digest.replace(':', '-')}")
    named = assert_durable(calls, folder / "tag-1")
    assert stored.ended < held.began <= held.ended < named.began
    assert [each for each in find(calls, WRITES, f"{catalog}-wal") if each.began > named.ended]


def run_until(path: Path, mirror: MirrorProcess, *words: str) -> CompletedProcess[bytes]:
    """Run a command that is killed as it calls for the deletion of a file."""
    calls = "unlink,unlinkat"
    rules = (f"trace={calls}", f"inject={calls}:signal=KILL")
    tracer = ["strace", "-f", "-o", "/dev/null", "-P", str(path)]
    tracer += [word for rule in rules for word in ("-e", rule)]
    command = [sys.executable, "-m", "registry", *words, "--config", str(mirror.config)]
    return subprocess.run([*tracer, *command], capture_output=True, check=False, timeout=60)


def test_a_blob_is_forgotten_before_it_is_deleted(
    hub: FakeUpstream, make_mirror: MirrorMaker
) -> None:
    """Killed as it is about to delete the file, a removal has already said so in the catalog."""
    image = hub.add_image("sync/gone", "1", [b"layer" * 999])
    mirror = make_mirror({"storage": {"audit_rate": 0}})
    pull(mirror, image)
    await_consistency(mirror.data)
    (layer,) = image.layers
    path = blob_file(mirror.data, layer)
    size = path.stat().st_size

    removal = run_until(path, mirror, "images", "rm", "sync/gone:1")

    assert removal.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), removal.stderr
    _, tables = read_usage(mirror.data / "catalog.db")
    assert layer not in tables["blobs"]
    assert tables["doomed"] == {layer: size}
    mirror.stop()
    mirror.start()
    await_consistency(mirror.data)
    assert not path.exists()
    assert pull_blob(mirror, image, layer).status == 200
