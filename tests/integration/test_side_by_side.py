"""Several at once on one data folder: commands beside pulls, and two servers."""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.fakes.upstream.content import digest_bytes
from tests.harness.deadline import await_truth
from tests.harness.large_layer import KIB, MIB, publish
from tests.harness.many_clients import ManyClients
from tests.harness.mirror import MirrorProcess
from tests.integration.images import ask, keep, make_layer, pull, read_stored
from tests.integration.wire import fetch, wait_until

pytestmark = pytest.mark.programs

ROUNDS = 2
LONG_ENOUGH = 3.0  # seconds of pulls by all clients
DEADLINE = 60.0  # seconds until the store must have been filled
PAUSE = 0.05  # seconds of a client between two pulls: commands too need a core
LIMITS = {
    "storage": {"limit": 2 * MIB, "reserve": 0, "keep_pulled": 0},
    "tags": {"fresh_for": "1h"},
}
SUM = """
    SELECT COALESCE(SUM(size), 0) FROM (SELECT size FROM blobs UNION ALL
        SELECT size FROM reservations UNION ALL SELECT size FROM doomed
        UNION ALL SELECT size FROM quarantine)
"""
COUNTED = re.compile(r"entrepot_requests_total\{.*\} (\S+)")
Pair = tuple[MirrorProcess, MirrorProcess]


def list_files(data: Path) -> dict[str, Path]:
    """The files of blobs by digest."""
    return {f"sha256:{path.name}": path for path in (data / "blobs").glob("*/*/*")}


def assert_sound(data: Path) -> None:
    """What is recorded, what is counted, and what is on disk agree, every byte of it."""
    wait_until(lambda: not ask(data, "SELECT * FROM reservations"), "all downloads have ended")
    assert ask(data, "SELECT bytes FROM usage") == ask(data, SUM)
    assert ask(data, "PRAGMA integrity_check") == [("ok",)]
    files = list_files(data)
    assert read_stored(data) == {name: path.stat().st_size for name, path in files.items()}
    assert [name for name, path in files.items() if digest_bytes(path.read_bytes()) != name] == []


@contextmanager
def load(mirrors: tuple[MirrorProcess, ...], images: list[Image]) -> Iterator[list[int]]:
    """Four clients that pull at random meanwhile, and check every byte; how much each pulled."""
    ended = threading.Event()

    def pull_on(seed: int) -> int:
        chance, count = random.Random(seed), 0
        while not ended.wait(PAUSE):
            pull(mirrors[seed % len(mirrors)], chance.choice(images))
            count += 1
        return count

    counts: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(pull_on, seed) for seed in range(4)]
        try:
            yield counts
        finally:
            ended.set()
        counts += [client.result() for client in clients]


def make_images(hub: FakeUpstream) -> list[Image]:
    """Add images that share a layer, and are together twice as large as the limit."""
    base = make_layer(0, 100 * KIB)
    return [hub.add_image(f"many/i{n}", "1", [base, make_layer(n, 200 * KIB)]) for n in range(20)]


def test_commands_beside_pulls(make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path) -> None:
    """While images are pulled and evicted, no command fails, and what they leave is sound."""
    images = make_images(hub)
    kept, removed = (hub.add_image(f"team/{n}", "1", [n.encode() * 9999]) for n in ("k", "r"))
    mirror = make_mirror(LIMITS)
    keep(mirror, kept)
    assert mirror.run("images", "pin", "team/k:1").returncode == 0

    def repeat(*commands: tuple[str, ...]) -> list[str]:
        return [why for _ in range(ROUNDS) for each in commands for why in find_failure(each)]

    def find_failure(command: tuple[str, ...]) -> list[str]:
        result = mirror.run(*command)
        # A blob that a client reads just then stays, and evicting says so. An image that is evicted
        # just before it would be removed is gone, and removing says so.
        expected = ("being read", "is not stored here")[command[1] == "rm"]
        is_well = not result.returncode or expected in result.stderr
        return [] if is_well else [f"{command}: {result.stderr or result.stdout}"]

    def keep_removing() -> list[str]:
        failures = []
        for _ in range(ROUNDS):
            pull(mirror, removed)
            failures += find_failure(("images", "rm", "team/r:1"))
        return failures

    backup = ("cache", "backup", str(tmp_path / "backup"))
    evict = ("cache", "evict", "--to", "1MiB")
    with load((mirror,), [*images, removed]) as counts, ThreadPoolExecutor(3) as pool:
        running = [
            pool.submit(repeat, ("images", "pin", "team/k:1"), ("cache", "audit"), backup),
            pool.submit(repeat, evict, ("cache", "stats"), ("images", "ls")),
            pool.submit(keep_removing),
        ]
        failures = [why for each in running for why in each.result()]

    assert failures == []
    assert min(counts) > 0
    assert_sound(mirror.data)
    assert_sound(tmp_path / "backup")
    assert set(pull(mirror, kept)) == {"hit"}
    assert mirror.run("cache", "audit").returncode == 0


@pytest.fixture
def pair(make_mirror: MirrorMaker) -> Callable[..., Pair]:
    """Makes two servers of one data folder."""

    def make(settings: dict[str, dict[str, object]]) -> Pair:
        first = make_mirror(settings)
        storage = settings.get("storage", {}) | {"path": str(first.data)}
        return first, make_mirror(settings | {"storage": storage})

    return make


def count_answers(mirror: MirrorProcess) -> float:
    """How many pulls a mirror says that it has answered."""
    answer = fetch(f"{mirror.console}/metrics")
    assert answer.status == 200
    return sum(float(each) for each in COUNTED.findall(answer.body.decode()))


def test_two_servers_fetch_once(pair: Callable[..., Pair], hub: FakeUpstream) -> None:
    """What is pulled through both at once crosses the link once, and each counts its own pulls."""
    both = pair({"tags": {"fresh_for": "1h"}})
    shared = [hub.add_image(f"both/i{n}", "1", [make_layer(n, 300 * KIB)]) for n in range(6)]
    own = [hub.add_image(f"own/i{n}", "1", [make_layer(n + 9, 300 * KIB)]) for n in range(6)]
    plan = [(mirror, image) for image in shared for mirror in both]
    plan += [(both[number % 2], image) for number, image in enumerate(own)]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: pull(*each), plan))

    for image in (*shared, *own):
        fetches = [hub.journal.blob_fetches(digest) for digest in image.blobs]
        assert fetches == [1, 1], str(hub.journal)
        assert hub.journal.count("manifest", "GET", f"{image.repository}/manifests/") == 1
    assert_sound(both[0].data)
    each = 3 * (len(shared) + len(own) // 2)  # a manifest, a config and a layer
    wait_until(lambda: [count_answers(mirror) for mirror in both] == [each, each], "all is counted")
    assert [fetch(f"{mirror.console}/readyz").status for mirror in both] == [200, 200]


def test_a_server_takes_over_from_another_that_is_killed(
    pair: Callable[..., Pair], hub: FakeUpstream, tmp_path: Path
) -> None:
    """Clients of the living one get every byte, and it works on, as does the other, restarted."""
    layer = publish(tmp_path, 16 * MIB, hub)
    hub.rate = 8 * MIB
    first, second = pair({})
    with (
        ManyClients(layer.pull_manifest(first), layer.expected, 2) as lost,
        ManyClients(layer.pull_manifest(second), layer.expected, 2) as clients,
    ):
        wait_until(lambda: layer.part(first).exists(), "the download has begun")
        wait_until(lambda: layer.part(first).stat().st_size > 4 * MIB, "some of it is here")
        first.kill()
        seen = clients.join()
        lost.kill()
    hub.rate = None
    image = hub.add_image("after/kill", "1", [make_layer(1)])

    assert [each.is_right for each in seen] == [True] * 2, seen
    assert layer.await_file(second) == layer.expected.read_bytes()
    keep(second, image)
    assert count_answers(second) > 0
    first.start()
    assert set(pull(first, image)) == {"hit"}
    assert [fetch(f"{mirror.console}/readyz").status for mirror in (first, second)] == [200, 200]
    keep(first, hub.add_image("after/start", "1", [make_layer(2)]))
    assert count_answers(first) > 0
    assert_sound(first.data)


def is_still(group: int) -> bool:
    """Whether every thread of a process group has stopped, or ended."""
    states = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # of anybody's who ends meanwhile
            for path in process.glob("task/*/stat"):
                state, _, of = path.read_text().rpartition(")")[2].split()[:3]
                states |= {state} if of == str(group) else set()
    return states <= {"T", "Z"}


@contextmanager
def frozen(*mirrors: MirrorProcess) -> Iterator[None]:
    """Stop all processes of these mirrors until the end of the `with`."""
    try:
        for mirror in mirrors:
            os.killpg(mirror.pid, signal.SIGSTOP)
        # A thread in a system call stops only when the call returns.
        await_truth(lambda: all(is_still(mirror.pid) for mirror in mirrors))
        yield
    finally:
        for mirror in mirrors:
            os.killpg(mirror.pid, signal.SIGCONT)


def test_two_servers_share_one_limit(pair: Callable[..., Pair], hub: FakeUpstream) -> None:
    """However much both are asked for, together they never take more than is allowed."""
    both = pair(LIMITS)
    data, samples = both[0].data, []

    with load(both, make_images(hub)) as counts:
        began = time.monotonic()
        while time.monotonic() < began + LONG_ENOUGH or max(samples) <= MIB:
            assert time.monotonic() < began + DEADLINE, "the store is filled at some time"
            with frozen(*both):
                parts = [path.stat().st_size for path in (data / "spool").glob("*.part")]
                whole = [path.stat().st_size for path in list_files(data).values()]
            samples.append(sum(parts) + sum(whole))
            time.sleep(0.05)

    assert max(samples) <= 2 * MIB
    assert min(counts) > 0
    assert_sound(data)
