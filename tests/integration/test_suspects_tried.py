"""An endpoint that has sent wrong bytes is tried again: over real connections, and restarts."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Lie
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.mirror import MirrorProcess

SIZE = 2 * MIB


@pytest.fixture
def hubs() -> Iterator[list[FakeUpstream]]:
    """Two upstreams with the same content; the first one is asked first."""
    with ExitStack() as stack:
        yield [stack.enter_context(FakeUpstream()) for _ in range(2)]


def show_liar(mirror: MirrorProcess, hub: FakeUpstream) -> dict[str, Any]:
    """Return what `entrepot upstreams ls` says of an endpoint."""
    listed: list[dict[str, Any]] = json.loads(mirror.run("upstreams", "ls", "--json").stdout)
    return next(each for each in listed if each["endpoint"] == hub.url)


def pass_two_hours(mirror: MirrorProcess) -> None:
    """Let the mirror believe, after a restart, that the wrong bytes came two hours earlier."""
    mirror.stop()
    with closing(sqlite3.connect(mirror.data / "catalog.db")) as catalog, catalog:
        catalog.execute("UPDATE endpoints SET suspected = suspected - 7200 WHERE wrong > 0")
    mirror.start()


def pull(mirror: MirrorProcess, layer: LargeLayer) -> bool:
    """Pull a layer once; return whether it came whole, and then it is right."""
    url = layer.pull_manifest(mirror)
    with suppress(httpx.HTTPError):
        assert httpx.get(url, timeout=60).content == layer.expected.read_bytes()
        return True
    return False


@pytest.mark.parametrize("is_lying", [False, True])
def test_a_suspect_is_tried_with_what_clients_pull(
    hubs: list[FakeUpstream], make_mirror: MirrorMaker, tmp_path: Path, is_lying: bool
) -> None:
    """Some time after its wrong bytes, it is asked for one blob more, which no client reads.

    Right bytes count for it, and wrong ones against it; the log says which they were.
    """
    layers = [
        publish(tmp_path, SIZE + number, *hubs, repository=f"library/app{number}")
        for number in range(3)
    ]
    hubs[0].faults.add(Fault("cdn", Lie(MIB), times=None))
    table = {"endpoints": [hub.url for hub in hubs]}
    mirror = make_mirror(upstreams={"docker.io": table}, workers=1)
    assert [pull(mirror, layers[0]) for _ in range(2)] == [False, True]
    await_truth(lambda: show_liar(mirror, hubs[0])["wrong"])
    assert pull(mirror, layers[1])
    pass_two_hours(mirror)
    if not is_lying:
        hubs[0].faults.clear()
    hubs[0].journal.clear()

    assert pull(mirror, layers[2])

    (tried,) = await_truth(lambda: mirror.events("suspect tried"))
    assert (tried["endpoint"], tried["is_right"]) == (hubs[0].url, not is_lying)
    assert hubs[0].journal.count("cdn", "GET") == 1, hubs[0].journal
    field, least = ("wrong", 2) if is_lying else ("right", SIZE)
    await_truth(lambda: show_liar(mirror, hubs[0])[field] >= least)
    assert show_liar(mirror, hubs[0])["suspect"]
