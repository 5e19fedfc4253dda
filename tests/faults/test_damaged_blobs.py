"""Bytes that change on the disk: found, set aside, fetched again, and never served once found."""

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
LAYERS = 30  # of each image; twenty stay intact
DAMAGED = 100
QUARANTINED = "SELECT digest FROM quarantine"
STORED = "SELECT digest FROM blobs"


@dataclass(frozen=True)
class StoredImages:
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
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredImages]:
    """Store many small layers of many sizes; no process serves the data folder afterwards."""
    chance = random.Random(SEED)
    folder = tmp_path_factory.mktemp("filled")
    with FakeUpstream() as hub:
        images = [
            hub.add_image(
                f"damaged/i{number}",
                "1",
                [chance.randbytes(chance.randrange(1, 32 * KIB)) for _ in range(LAYERS)],
            )
            for number in range(IMAGES)
        ]
        settings = {"storage": {"audit_rate": 0}}
        with MirrorProcess(folder, {"docker.io": hub.url}, settings) as mirror:
            copied = StoredImages(hub, images, mirror.data)
            copied.pull_all(mirror)
            await_consistency(mirror.data)
        yield copied


@pytest.fixture
def copied(filled: StoredImages, tmp_path: Path) -> Iterator[StoredImages]:
    """Copy the data folder, so that a test can damage it; the upstream counts from here."""
    filled.hub.journal.clear()
    yield StoredImages(filled.hub, filled.images, shutil.copytree(filled.data, tmp_path / "data"))
    filled.hub.start()


def open_mirror(
    make_mirror: MirrorMaker, copied: StoredImages, *, rate: int | str = 0, offline: bool = False
) -> MirrorProcess:
    """A mirror of it that audits by itself at this rate."""
    storage = {"path": str(copied.data), "audit_rate": rate}
    settings = {"storage": storage, "tags": {"fresh_for": "1h"}, "offline": offline}
    return make_mirror(settings, upstreams={"docker.io": copied.hub.url})


def overwrite(path: Path, change: Callable[[bytearray], None]) -> None:
    """Change the bytes of a read-only file, as a failing disk would."""
    content = bytearray(path.read_bytes())
    mode = path.stat().st_mode
    change(content)
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(mode)


def spoil(copied: StoredImages) -> set[str]:
    """Flip bits of one byte of a hundred blobs, each at a place by chance; which blobs."""
    chance = random.Random(SEED)
    damaged = chance.sample(list(copied.layers), DAMAGED)

    def flip(content: bytearray) -> None:
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)

    for digest in damaged:
        overwrite(blob_file(copied.data, digest), flip)
    return set(damaged)


def audit(mirror: MirrorProcess) -> tuple[int, dict[str, Any]]:
    """The exit code of an audit, and what it found."""
    done = mirror.run("cache", "audit", "--json")
    return done.returncode, json.loads(done.stdout)


def test_an_audit_finds_every_flipped_byte(
    copied: StoredImages, make_mirror: MirrorMaker, note: Callable[[str], None]
) -> None:
    """An audit finds exactly the damaged blobs, and the next pull downloads each once more."""
    damaged = spoil(copied)
    mirror = open_mirror(make_mirror, copied)

    code, found = audit(mirror)

    note(f"seed {SEED}: {len(found['damaged'])} of {found['checked']} blobs were damaged")
    assert code == 1
    assert sorted(found["damaged"]) == sorted(damaged)
    others = ("unknown", "missing", "unreadable", "recovered_names")
    assert [found[each] for each in others] == [[], [], [], 0]
    assert {digest for (digest,) in list_rows(copied.data / "catalog.db", QUARANTINED)} == damaged
    copied.pull_all(mirror)
    copied.pull_all(mirror)
    fetches = {layer: copied.hub.journal.blob_fetches(layer) for layer in copied.layers}
    assert fetches == {layer: int(layer in damaged) for layer in copied.layers}
    await_consistency(copied.data)
    assert audit(mirror)[0] == 0


def test_offline_a_damaged_blob_is_not_there(
    copied: StoredImages, make_mirror: MirrorMaker
) -> None:
    """Offline, a damaged blob is refused, and an intact one is served."""
    damaged = spoil(copied)
    mirror = open_mirror(make_mirror, copied, offline=True)
    assert set(audit(mirror)[1]["damaged"]) == damaged

    answers = {layer: pull_blob(mirror, image, layer) for layer, image in copied.layers.items()}

    refused = {layer: answer for layer, answer in answers.items() if answer.status != 200}
    assert refused.keys() == damaged
    assert set(map(read_error, refused.values())) == {(404, "BLOB_UNKNOWN")}
    assert len(copied.hub.journal) == 0


def read_error(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


@pytest.mark.parametrize("is_offline", [False, True])
def test_a_damaged_blob_that_the_disk_does_not_move_is_not_served(
    copied: StoredImages, make_mirror: MirrorMaker, is_offline: bool
) -> None:
    """A blob whose bytes changed is missing for all workers once that is known.

    The disk refuses to move its file into quarantine, because there is no such folder.
    """
    image = copied.images[0]
    layer = max(image.layers, key=lambda each: image.sizes[each])
    overwrite(blob_file(copied.data, layer), lambda content: content.__setitem__(0, content[0] ^ 1))
    mirror = open_mirror(make_mirror, copied, offline=is_offline)
    (copied.data / "quarantine").rmdir()
    (copied.data / "quarantine").write_bytes(b"")
    assert mirror.run("cache", "audit").returncode == 1
    assert blob_file(copied.data, layer).exists()

    answers = [pull_blob(mirror, image, layer)]
    if not is_offline:  # the last byte is sent before the catalog has the new file
        wait_until(lambda: (layer,) in list_rows(copied.data / "catalog.db", STORED), "the row")
    answers += [pull_blob(mirror, image, layer) for _ in range(4)]

    assert {answer.status for answer in answers} == {404 if is_offline else 200}
    assert copied.hub.journal.blob_fetches(layer) == (not is_offline)


@pytest.mark.parametrize("is_offline", [False, True])
def test_a_pull_notices_a_truncated_blob(
    copied: StoredImages, make_mirror: MirrorMaker, is_offline: bool
) -> None:
    """A pull moves a file that was cut in half to quarantine; no audit is needed."""
    image = copied.images[0]
    layer = max(image.layers, key=lambda each: image.sizes[each])
    half = image.sizes[layer] // 2
    overwrite(blob_file(copied.data, layer), lambda content: content.__delitem__(slice(half, None)))
    mirror = open_mirror(make_mirror, copied, offline=is_offline)

    answer = pull_blob(mirror, image, layer)

    assert answer.status == (404 if is_offline else 200)
    assert copied.hub.journal.blob_fetches(layer) == (not is_offline)
    assert [event["blob"] for event in mirror.events("blob quarantined")] == [layer]
    assert list_rows(copied.data / "catalog.db", QUARANTINED) == [(layer,)]
    (aside,) = (copied.data / "quarantine").iterdir()
    assert aside.stat().st_size == half
    await_consistency(copied.data)


def test_the_background_audit_finds_rot(copied: StoredImages, make_mirror: MirrorMaker) -> None:
    """A running mirror reads all it has by itself, and says what it has set aside."""
    damaged = spoil(copied)
    mirror = open_mirror(make_mirror, copied, rate="1GiB")

    wait_until(lambda: mirror.events("audit ended"), "the background audit")

    (ended,) = mirror.events("audit ended")
    assert (ended["auditor"], ended["damaged"]) == ("background", DAMAGED)
    assert (ended["unknown"], ended["missing"], ended["unreadable"]) == (0, 0, 0)
    assert {event["blob"] for event in mirror.events("blob quarantined")} == damaged
    copied.pull_all(mirror)
    await_consistency(copied.data)
