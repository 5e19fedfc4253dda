"""An upstream that sends wrong bytes of the right length."""

import threading
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import Cut, FakeUpstream, Fault, Lie, WrongRange
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess

SIZE = 8 * MIB


class PartWatcher:
    """Watches how long a part becomes; use it with `with`."""

    def __init__(self, part: Path) -> None:
        self.longest = 0
        self._part = part
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._is_over.wait(0.001):
            try:
                self.longest = max(self.longest, self._part.stat().st_size)
            except FileNotFoundError:
                continue

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


def build(make_mirror: MirrorMaker, connections: int, *hubs: FakeUpstream) -> MirrorProcess:
    endpoints = [hub.url for hub in hubs]
    return make_mirror(
        upstreams={"docker.io": {"endpoints": endpoints, "connections": connections}}
    )


def pull(
    layer: LargeLayer, mirror: MirrorProcess, count: int = 1, delay: float = 0.0
) -> list[Pull]:
    with ManyClients(layer.pull_manifest(mirror), layer.expected, count, delay) as clients:
        return clients.join()


@pytest.mark.parametrize("connections", [4, 1])
@pytest.mark.parametrize("flip_at", [0, SIZE // 2, -1])
def test_no_reader_gets_a_complete_wrong_blob(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, connections: int, flip_at: int
) -> None:
    """Readers of both workers, early and late, are cut off before the end; then all is well."""
    hub.rate = 8 * MIB
    layer = publish(tmp_path, SIZE, hub)
    mirror = build(make_mirror, connections, hub)
    fault = hub.faults.add(Fault("cdn", Lie(flip_at), times=None))

    with PartWatcher(layer.part(mirror)) as watcher:
        cut_off = pull(layer, mirror, 8, 0.05)
    hub.faults.clear()
    hub.rate = None
    (after,) = pull(layer, mirror)

    assert fault.applied
    assert [pull for pull in cut_off if pull.received >= SIZE] == []
    assert 0 < watcher.longest < SIZE
    assert after.is_right, after
    assert layer.await_file(mirror) == layer.expected.read_bytes()
    assert not layer.part(mirror).exists()


def test_the_next_pull_asks_another_endpoint(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """After wrong bytes every worker downloads this blob from the other endpoint."""
    with FakeUpstream() as honest:
        layer = publish(tmp_path, 2 * MIB, hub, honest)
        hub.faults.add(Fault("cdn", Lie(MIB), times=None))
        # Two mirrors of one worker each on one folder would do as well: what counts is that the
        # process which is asked next never asked the wrong endpoint.
        mirror = build(make_mirror, 4, hub, honest)

        (cut_off,) = pull(layer, mirror)
        mirror.kill()
        (after,) = pull(layer, mirror.start())

        assert cut_off.received < layer.size
        assert after.is_right, after
        assert honest.journal.blob_fetches(layer.digest) > 0


def test_shifted_bytes_are_found(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """A resume that claims the right range and sends another is found out at the end."""
    layer = publish(tmp_path, SIZE, hub)
    hub.faults.add(Fault("cdn", Cut(3 * MIB)), Fault("cdn", WrongRange(7, honest=False)))
    mirror = build(make_mirror, 1, hub)

    (cut_off,), (after,) = pull(layer, mirror), pull(layer, mirror)

    assert cut_off.received < SIZE
    assert after.is_right, after
