"""Bytes that change on the disk: found, quarantined, fetched again, and never served once found."""

import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.faults.consistency import await_consistency, blob_file, list_rows
from tests.faults.load import CLIENTS, pull, pull_blob
from tests.harness.large_layer import KIB
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, wait_until

SEED = 18
IMAGES = 4
LAYERS = 30  # of each image; twenty stay sound
DAMAGED = 100
QUARANTINED = "SELECT digest FROM quarantine"


@dataclass(frozen=True)
class Depot:
    """Images at an upstream, and a data folder that has stored all of them."""

    hub: FakeUpstream
    images: Sequence[Image]
    data: Path

    @property
    def layers(self) -> dict[str, Image]:
        """Every layer with the image that it is of."""
        return {layer: image for image in self.images for layer in image.layers}

    def pull_all(self, mirror: MirrorProcess) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda image: pull(mirror, image), self.images))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Depot]:
    """Many small layers of many sizes; nobody serves the data folder, or writes to it."""
    chance = random.Random(SEED)
    folder = tmp_path_factory.mktemp("filled")
    with FakeUpstream() as hub:
        images = [
            hub.add_image(
                f"rot/i{number}",
                "1",
                [chance.randbytes(chance.randrange(1, 32 * KIB)) for _ in range(LAYERS)],
            )
            for number in range(IMAGES)
        ]
        settings = {"storage": {"audit_rate": 0}}
        with MirrorProcess(folder, {"docker.io": hub.url}, settings) as mirror:
            depot = Depot(hub, images, mirror.data)
            depot.pull_all(mirror)
            await_consistency(mirror.data)
        yield depot


@pytest.fixture
def depot(filled: Depot, tmp_path: Path) -> Iterator[Depot]:
    """A copy of the data folder, to be spoilt; the upstream counts from here."""
    filled.hub.journal.clear()
    yield Depot(filled.hub, filled.images, shutil.copytree(filled.data, tmp_path / "data"))
    filled.hub.start()


def open_mirror(
    make_mirror: MirrorMaker, depot: Depot, *, rate: int | str = 0, offline: bool = False
) -> MirrorProcess:
    """A mirror of it that audits by itself at this rate."""
    storage = {"path": str(depot.data), "audit_rate": rate}
    settings = {"storage": storage, "tags": {"fresh_for": "1h"}, "offline": offline}
    return make_mirror(settings, upstreams={"docker.io": depot.hub.url})


def overwrite(path: Path, change: Callable[[bytearray], None]) -> None:
    """Change the bytes of a file that nobody may write, as a failing disk would."""
    content = bytearray(path.read_bytes())
    mode = path.stat().st_mode
    change(content)
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(mode)


def spoil(depot: Depot) -> set[str]:
    """Flip bits of one byte of a hundred blobs, each at a place by chance; which blobs."""
    chance = random.Random(SEED)
    damaged = chance.sample(list(depot.layers), DAMAGED)

    def flip(content: bytearray) -> None:
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)

    for digest in damaged:
        overwrite(blob_file(depot.data, digest), flip)
    return set(damaged)


def audit(mirror: MirrorProcess) -> tuple[int, dict[str, Any]]:
    """The exit code of an audit, and what it found."""
    done = mirror.run("cache", "audit", "--json")
    return done.returncode, json.loads(done.stdout)


def test_an_audit_finds_every_flipped_byte(
    depot: Depot, make_mirror: MirrorMaker, note: Callable[[str], None]
) -> None:
    """Exactly the spoilt blobs are damaged, and each is fetched once more, by its next pull."""
    damaged = spoil(depot)
    mirror = open_mirror(make_mirror, depot)

    code, found = audit(mirror)

    note(f"seed {SEED}: {len(found['damaged'])} of {found['checked']} blobs were damaged")
    assert code == 1
    assert sorted(found["damaged"]) == sorted(damaged)
    others = ("unknown", "missing", "unreadable", "recovered_names")
    assert [found[each] for each in others] == [[], [], [], 0]
    assert {digest for (digest,) in list_rows(depot.data / "catalog.db", QUARANTINED)} == damaged
    depot.pull_all(mirror)
    depot.pull_all(mirror)
    fetches = {layer: depot.hub.journal.blob_fetches(layer) for layer in depot.layers}
    assert fetches == {layer: int(layer in damaged) for layer in depot.layers}
    await_consistency(depot.data)
    assert audit(mirror)[0] == 0


def test_offline_the_damaged_is_not_there(depot: Depot, make_mirror: MirrorMaker) -> None:
    """What was quarantined and nobody can fetch is refused, and what is sound is served."""
    damaged = spoil(depot)
    mirror = open_mirror(make_mirror, depot, offline=True)
    assert set(audit(mirror)[1]["damaged"]) == damaged

    answers = {layer: pull_blob(mirror, image, layer) for layer, image in depot.layers.items()}

    refused = {layer: answer for layer, answer in answers.items() if answer.status != 200}
    assert refused.keys() == damaged
    assert set(map(tell, refused.values())) == {(404, "BLOB_UNKNOWN")}
    assert len(depot.hub.journal) == 0


def tell(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


@pytest.mark.parametrize("is_offline", [False, True])
def test_a_pull_notices_a_truncated_blob(
    depot: Depot, make_mirror: MirrorMaker, is_offline: bool
) -> None:
    """Half a file is quarantined by the pull that meets it, without any audit."""
    image = depot.images[0]
    layer = max(image.layers, key=lambda each: image.sizes[each])
    half = image.sizes[layer] // 2
    overwrite(blob_file(depot.data, layer), lambda content: content.__delitem__(slice(half, None)))
    mirror = open_mirror(make_mirror, depot, offline=is_offline)

    answer = pull_blob(mirror, image, layer)

    assert answer.status == (404 if is_offline else 200)
    assert depot.hub.journal.blob_fetches(layer) == (not is_offline)
    assert [event["blob"] for event in mirror.events("blob quarantined")] == [layer]
    assert list_rows(depot.data / "catalog.db", QUARANTINED) == [(layer,)]
    (aside,) = (depot.data / "quarantine").iterdir()
    assert aside.stat().st_size == half
    await_consistency(depot.data)


def test_the_background_audit_finds_rot(depot: Depot, make_mirror: MirrorMaker) -> None:
    """A running mirror reads all it has by itself, and says what it has quarantined."""
    damaged = spoil(depot)
    mirror = open_mirror(make_mirror, depot, rate="1GiB")

    wait_until(lambda: mirror.events("audit ended"), "the background audit")

    (ended,) = mirror.events("audit ended")
    assert (ended["auditor"], ended["damaged"]) == ("background", DAMAGED)
    assert (ended["unknown"], ended["missing"], ended["unread"]) == (0, 0, 0)
    assert {event["blob"] for event in mirror.events("blob quarantined")} == damaged
    depot.pull_all(mirror)
    await_consistency(depot.data)
