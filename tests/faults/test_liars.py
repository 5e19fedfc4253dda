"""Endpoints that send wrong bytes as real ones did, and clients that ask again after a failure."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Lie, LieEvery, LieInside, Status
from tests.harness.deadline import await_truth
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.mirror import MirrorProcess

SIZE = 4 * MIB
INSIDE, FIXED, LAST = LieInside(), LieEvery(), Lie(-1)
RETRY = 10.0  # seconds within which the retry of a client is right
LARGER = pytest.mark.programs
Note = Callable[[str], None]


@pytest.fixture
def hubs() -> Iterator[list[FakeUpstream]]:
    """Three upstreams with the same content; the first one is the fastest."""
    with ExitStack() as stack:
        made = [stack.enter_context(FakeUpstream()) for _ in range(3)]
        for hub, rate in zip(made, (48, 24, 24), strict=True):
            hub.rate = rate * MIB
        yield made


def build(make_mirror: MirrorMaker, *endpoints: str, **more: Any) -> MirrorProcess:
    table = {"endpoints": list(endpoints), **more}
    return make_mirror(upstreams={"docker.io": table}, workers=1)


def publish_several(folder: Path, *hubs: FakeUpstream) -> list[LargeLayer]:
    return [
        publish(folder, SIZE + number, *hubs, repository=f"library/app{number}")
        for number in range(2)
    ]


@dataclass(frozen=True)
class Try:
    """One try of a client: when it ended, and whether it had a whole blob, and a right one."""

    ended: float
    is_whole: bool
    is_right: bool


def pull(mirror: MirrorProcess, layer: LargeLayer) -> list[Try]:
    """Pull a layer as a client does: after a failure it asks again. Return all its tries."""
    tries: list[Try] = []
    url, expected = layer.pull_manifest(mirror), layer.expected.read_bytes()
    while not tries or not tries[-1].is_right:
        body = bytearray()
        with suppress(httpx.HTTPError), httpx.stream("GET", url, timeout=60) as answer:
            for chunk in answer.iter_raw():
                body += chunk
        tries.append(Try(time.monotonic(), len(body) >= layer.size, body == expected))
        assert len(tries) < 5, tries
    return tries


def list_known(mirror: MirrorProcess) -> dict[str, dict[str, Any]]:
    """Return what `entrepot upstreams ls` says of each endpoint."""
    listed = mirror.run("upstreams", "ls", "--json")
    assert listed.returncode == 0, listed.stderr
    return {each["endpoint"]: each for each in json.loads(listed.stdout)}


@pytest.mark.parametrize(
    ("lie", "count", "trusted"),
    [
        pytest.param(INSIDE, 2, True, id="inside of two, the other trusted"),
        pytest.param(FIXED, 3, False, id="fixed of three"),
        pytest.param(INSIDE, 2, False, id="inside of two", marks=LARGER),
        pytest.param(INSIDE, 3, False, id="inside of three", marks=LARGER),
        pytest.param(FIXED, 2, True, id="fixed of two, the other trusted", marks=LARGER),
        pytest.param(FIXED, 2, False, id="fixed of two", marks=LARGER),
        pytest.param(LAST, 2, False, id="the last byte of two", marks=LARGER),
        pytest.param(LAST, 3, False, id="the last byte of three", marks=LARGER),
    ],
)
def test_the_retry_is_right_and_the_liar_is_named(
    hubs: list[FakeUpstream],
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Note,
    lie: LieInside | LieEvery | Lie,
    count: int,
    trusted: bool,
) -> None:
    """The first client is cut, and its retry is right; what others pull then comes at once."""
    liar, *good = hubs[:count]
    layers = publish_several(tmp_path, *hubs[:count])
    liar.faults.add(Fault("cdn", lie, times=None))
    own = [hub.url for hub in good if trusted]
    mirror = build(make_mirror, *(hub.url for hub in hubs[:count]), trusted=own)

    tries = pull(mirror, layers[0])
    took = tries[-1].ended - tries[0].ended
    note(f"{len(tries)} tries, right {took:.2f} s after the first one")
    later = [len(pull(mirror, layer)) for layer in layers[1:]]

    assert not any(each.is_whole and not each.is_right for each in tries)
    assert len(tries) <= 2, tries
    assert took <= RETRY
    assert later == [1]
    assert {each["endpoint"] for each in mirror.events("endpoint sent wrong bytes")} == {liar.url}


@pytest.mark.programs
@pytest.mark.parametrize("lie", [INSIDE, FIXED])
def test_a_liar_is_last_until_it_has_sent_right_bytes(
    hubs: list[FakeUpstream], make_mirror: MirrorMaker, tmp_path: Path, lie: LieInside | LieEvery
) -> None:
    """`upstreams ls` says so, and a restart does not forget it."""
    layers = publish_several(tmp_path, *hubs)
    hubs[0].faults.add(Fault("cdn", lie, times=None))
    mirror = build(make_mirror, *(hub.url for hub in hubs))
    pull(mirror, layers[0])

    known = await_truth(lambda: (found := list_known(mirror))[hubs[0].url]["wrong"] and found)

    assert [known[hub.url]["suspect"] for hub in hubs] == [True, False, False]
    assert known[hubs[0].url]["place"] == len(hubs)
    mirror.stop()
    mirror.start()
    hubs[0].journal.clear()
    assert [len(pull(mirror, layer)) for layer in layers[1:]] == [1]
    assert hubs[0].journal.count("blob", "GET") == 0, hubs[0].journal


def test_without_another_endpoint_the_failure_says_what_to_do(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """The log names the endpoint and the command that helps; clients are cut before the end."""
    layer = publish(tmp_path, SIZE, hub)
    hub.faults.add(Fault("cdn", FIXED, times=None))
    mirror = build(make_mirror, hub.url)
    url = layer.pull_manifest(mirror)

    for _ in range(2):  # to wait for the digest would bring no other bytes
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url, timeout=60)

    failed = await_truth(lambda: mirror.events("download failed"))[0]
    assert f"{SIZE} bytes from {hub.url}" in failed["why"]
    assert "entrepot upstreams test" in failed["why"]


@pytest.mark.programs
def test_who_does_not_have_a_blob_does_not_slow_it_down(
    hubs: list[FakeUpstream], make_mirror: MirrorMaker, tmp_path: Path, note: Note
) -> None:
    """One lies, one does not have the blob, one is dead: the good one gets all connections."""
    liar, older, good = hubs
    good.rate, good.connection_rate = None, MIB
    layer = publish(tmp_path, SIZE, liar, good)
    older.faults.add(Fault("manifest", Status(503), times=None))
    liar.faults.add(Fault("cdn", FIXED, times=None))
    with FakeUpstream() as dead:
        pass
    # "agree" wants endpoints at two hosts.
    elsewhere = good.url.replace("127.0.0.1", "localhost")
    mirror = build(make_mirror, liar.url, older.url, elsewhere, dead.url, names="agree")

    began = time.monotonic()
    tries = pull(mirror, layer)
    seconds = time.monotonic() - began

    asked = older.journal.count("blob", "GET")
    note(f"{seconds:.2f} s, {len(tries)} tries; the one without the blob was asked {asked} times")
    assert seconds < SIZE / good.connection_rate
    assert asked <= 2 * len(tries) + 1
