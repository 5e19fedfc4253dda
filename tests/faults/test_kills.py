"""kill -9 in the middle of a fill: it goes on from the disk, and nothing wrong is ever served."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB, Cargo, publish
from tests.harness.many_clients import Crowd, Pull
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served, find_lock_holder
from tests.harness.sizes import list_sizes

SIZES = list_sizes((24 * MIB, 2), (24 * MIB, 5), (256 * MIB, 20), seconds=600)
SEED = 20260
DEPTH = 4 * MIB  # bytes between the network and the disk that die with a process


def landed(cargo: Cargo, mirror: MirrorProcess) -> int:
    """Bytes of it on disk, in the spool or whole."""
    for path in (cargo.file(mirror), cargo.part(mirror)):
        if path.exists():
            return path.stat().st_size
    return 0


def is_whole_and_wrong(pull: Pull, cargo: Cargo) -> bool:
    return pull.received >= cargo.size and not pull.is_right


def assert_nothing_wrong_is_complete(cargo: Cargo, mirror: MirrorProcess) -> None:
    """A file that has its last byte is right, wherever it is."""
    for path in (cargo.file(mirror), cargo.part(mirror)):
        if path.exists() and path.stat().st_size >= cargo.size:
            assert path.read_bytes() == cargo.truth.read_bytes(), path


@pytest.mark.parametrize("connections", [4, 1])
@pytest.mark.parametrize(("size", "kills"), SIZES)
def test_a_fill_survives_the_death_of_everything(
    hub: FakeUpstream,
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Callable[[str], None],
    size: int,
    kills: int,
    connections: int,
) -> None:
    """After each kill the fill goes on from what was on disk, and costs little more than once."""
    hub.rate = 24 * MIB
    cargo = publish(tmp_path, size, hub)
    mirror = make_mirror(
        upstreams={"docker.io": {"endpoints": [hub.url], "connections": connections}}
    )
    url = cargo.introduce(mirror)
    chance = random.Random(SEED)
    moments = sorted(chance.randrange(size) for _ in range(kills))
    regained = []
    for moment in moments:
        with Crowd(url, cargo.truth, 3) as crowd:
            await_truth(lambda: count_served(mirror.pid, mirror.url).total() == 3)
            await_truth(lambda moment=moment: landed(cargo, mirror) >= moment)
            mirror.kill()
            pulls = crowd.join()
        assert not any(is_whole_and_wrong(pull, cargo) for pull in pulls), pulls
        assert_nothing_wrong_is_complete(cargo, mirror)
        regained.append(landed(cargo, mirror))
        mirror.start()
    with Crowd(url, cargo.truth, 3) as crowd:
        pulls = crowd.join()

    surplus = cargo.sent() - size
    segment = max(MIB, min(8 * MIB, size // (connections * 4)))
    allowance = DEPTH + (connections * segment if connections > 1 else 0)
    note(
        f"seed {SEED}, {kills} kills at {[moment // MIB for moment in moments]} MiB, on disk then"
        f" {[each // MIB for each in regained]} MiB; {cargo.sent() / size:.3f}x,"
        f" {surplus / kills / MIB:.2f} MiB a kill (allowed {allowance / MIB:.1f})"
    )
    assert [pull.is_right for pull in pulls] == [True] * 3, pulls
    assert regained == sorted(regained)
    assert surplus <= kills * allowance, str(hub.journal)


def test_a_follower_takes_over(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, note: Callable[[str], None]
) -> None:
    """When the writing worker dies, clients of the other one get the rest through theirs."""
    hub.rate = 8 * MIB
    cargo = publish(tmp_path, 16 * MIB, hub)
    mirror = make_mirror(upstreams={"docker.io": {"endpoints": [hub.url], "connections": 1}})
    with Crowd(cargo.introduce(mirror), cargo.truth, 16) as crowd:
        await_truth(lambda: landed(cargo, mirror) > 4 * MIB)
        served = count_served(mirror.pid, mirror.url)
        writer = find_lock_holder(cargo.part(mirror))
        assert writer in served
        os.kill(writer, signal.SIGKILL)
        pulls = crowd.join()

    followers = sum(served.values()) - served[writer]
    note(f"{served[writer]} clients died with the writer, {followers} went on")
    assert followers > 0
    assert followers == sum(pull.is_right for pull in pulls), pulls
    assert not any(is_whole_and_wrong(pull, cargo) for pull in pulls), pulls
    assert cargo.sent() <= cargo.size + DEPTH, str(hub.journal)
