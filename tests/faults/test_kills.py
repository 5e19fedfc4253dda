"""kill -9 during a download: it resumes from the disk, and no wrong blob is ever complete."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served, find_lock_holder
from tests.harness.sizes import list_sizes

SIZES = list_sizes(long=(24 * MIB, 5), full=(256 * MIB, 20), seconds=600)
SEED = 20260
DEPTH = 4 * MIB  # bytes between the network and the disk that die with a process


def written(layer: LargeLayer, mirror: MirrorProcess) -> int:
    """Bytes of it on disk, in the spool or whole."""
    for path in (layer.file(mirror), layer.part(mirror)):
        if path.exists():
            return path.stat().st_size
    return 0


def is_whole_and_wrong(pull: Pull, layer: LargeLayer) -> bool:
    return pull.received >= layer.size and not pull.is_right


def assert_nothing_wrong_is_complete(layer: LargeLayer, mirror: MirrorProcess) -> None:
    """A file that has its last byte is right, wherever it is."""
    for path in (layer.file(mirror), layer.part(mirror)):
        if path.exists() and path.stat().st_size >= layer.size:
            assert path.read_bytes() == layer.expected.read_bytes(), path


@pytest.mark.parametrize("connections", [4, 1])
@pytest.mark.parametrize(("size", "kills"), SIZES)
def test_a_download_survives_kills_of_all_processes(
    hub: FakeUpstream,
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Callable[[str], None],
    size: int,
    kills: int,
    connections: int,
) -> None:
    """After each kill the download resumes from the disk, and transfers little more than once."""
    hub.rate = 24 * MIB
    layer = publish(tmp_path, size, hub)
    mirror = make_mirror(
        upstreams={"docker.io": {"endpoints": [hub.url], "connections": connections}}
    )
    url = layer.pull_manifest(mirror)
    chance = random.Random(SEED)
    moments = sorted(chance.randrange(size) for _ in range(kills))
    regained = []
    for moment in moments:
        with ManyClients(url, layer.expected, 3) as clients:
            await_truth(lambda: count_served(mirror.pid, mirror.url).total() == 3)
            await_truth(lambda moment=moment: written(layer, mirror) >= moment)
            mirror.kill()
            pulls = clients.join()
        assert not any(is_whole_and_wrong(pull, layer) for pull in pulls), pulls
        assert_nothing_wrong_is_complete(layer, mirror)
        regained.append(written(layer, mirror))
        mirror.start()
    with ManyClients(url, layer.expected, 3) as clients:
        pulls = clients.join()

    surplus = layer.sent() - size
    segment = max(MIB, min(8 * MIB, size // (connections * 4)))
    allowance = DEPTH + (connections * segment if connections > 1 else 0)
    note(
        f"seed {SEED}, {kills} kills at {[moment // MIB for moment in moments]} MiB, on disk then"
        f" {[each // MIB for each in regained]} MiB; {layer.sent() / size:.3f}x,"
        f" {surplus / kills / MIB:.2f} MiB a kill (allowed {allowance / MIB:.1f})"
    )
    assert [pull.is_right for pull in pulls] == [True] * 3, pulls
    assert regained == sorted(regained)
    assert surplus <= kills * allowance, str(hub.journal)


def test_a_follower_takes_over(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, note: Callable[[str], None]
) -> None:
    """When the writing worker is killed, clients of the other worker get the rest from it."""
    hub.rate = 8 * MIB
    layer = publish(tmp_path, 16 * MIB, hub)
    mirror = make_mirror(upstreams={"docker.io": {"endpoints": [hub.url], "connections": 1}})
    with ManyClients(layer.pull_manifest(mirror), layer.expected, 16) as clients:
        await_truth(lambda: written(layer, mirror) > 4 * MIB)
        served = count_served(mirror.pid, mirror.url)
        writer = find_lock_holder(layer.part(mirror))
        assert writer in served
        os.kill(writer, signal.SIGKILL)
        pulls = clients.join()

    followers = sum(served.values()) - served[writer]
    note(f"{served[writer]} clients died with the writer, {followers} went on")
    assert followers > 0
    assert followers == sum(pull.is_right for pull in pulls), pulls
    assert not any(is_whole_and_wrong(pull, layer) for pull in pulls), pulls
    assert layer.sent() <= layer.size + DEPTH, str(hub.journal)
