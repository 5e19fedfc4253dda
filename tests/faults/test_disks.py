"""The disk refuses: every client still gets its blob, and the log says why it is not stored."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.fakes.upstream.content import digest_bytes
from tests.faults.full_disk import fill_up, kept_full, mount, mount_disk
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

SIZE = 24 * MIB
NO_RESERVE = {"storage": {"reserve": 0}}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The data folder of the first mirror, on a file system of 16 MiB."""
    with mount_disk(tmp_path / "mirror-0" / "data", "16m") as folder:
        yield folder


def check_catalog(data: Path) -> None:
    """The catalog is intact, and its sum of used bytes is the sum of its rows."""
    with closing(sqlite3.connect(f"file:{data}/catalog.db?mode=ro", uri=True)) as rows:
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows.execute("BEGIN")
        tables = ("blobs", "reservations", "doomed", "quarantine")
        sums = [rows.execute(f"SELECT TOTAL(size) FROM {table}").fetchone()[0] for table in tables]
        assert rows.execute("SELECT bytes FROM usage").fetchall() == [(sum(sums),)]


def read_count(mirror: MirrorProcess, name: str) -> float:
    """The value of a metric that has no labels."""
    lines = fetch(f"{mirror.console}/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def pull(layer: LargeLayer, mirror: MirrorProcess, count: int) -> list[Pull]:
    with ManyClients(layer.pull_manifest(mirror), layer.expected, count) as clients:
        return clients.join()


@pytest.mark.parametrize("connections", [4, 1])
def test_a_disk_that_becomes_full_costs_no_client_its_blob(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, small_disk: Path, connections: int
) -> None:
    """A blob that does not fit is passed through; when there is space again it is stored."""
    layer = publish(tmp_path, SIZE, hub)
    mirror = make_mirror(
        NO_RESERVE, upstreams={"docker.io": {"endpoints": [hub.url], "connections": connections}}
    )

    while_full = pull(layer, mirror, 4)
    reasons = {event["why"] for event in mirror.events("passed through, not stored")}
    mount("-o", "remount,size=64m", str(small_disk))
    (with_space,) = pull(layer, mirror, 1)

    assert [pull.is_right for pull in while_full] == [True] * 4, while_full
    assert any("no space for" in why for why in reasons), mirror.log()
    assert with_space.is_right, with_space
    assert layer.await_file(mirror) == layer.expected.read_bytes()


def test_a_disk_that_is_full_already(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, small_disk: Path
) -> None:
    """When another program has filled the disk, clients still get manifests and blobs."""
    layer = publish(tmp_path, SIZE, hub)
    mirror = make_mirror(NO_RESERVE)
    pull(publish(tmp_path, MIB, hub, repository="library/earlier"), mirror, 1)
    filler = small_disk / "filler"
    fill_up(filler)

    full = pull(layer, mirror, 4)
    mount("-o", "remount,size=64m", str(small_disk))
    filler.unlink()
    (with_space,) = pull(layer, mirror, 1)

    assert [pull.is_right for pull in full] == [True] * 4, full
    assert with_space.is_right, with_space
    assert layer.await_file(mirror) == layer.expected.read_bytes()


def test_another_program_takes_the_room_during_a_fill(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, small_disk: Path
) -> None:
    """When reserved space is gone, clients still get the blob; it is stored when there is space."""
    mount("-o", "remount,size=64m", str(small_disk))
    layer = publish(tmp_path, SIZE, hub)
    hub.rate = 8 * MIB
    mirror = make_mirror(NO_RESERVE)
    filler = small_disk / "filler"

    with ManyClients(layer.pull_manifest(mirror), layer.expected, 4) as clients:
        # With the first bytes the space is reserved: a disk that is full before is another case.
        parts = (small_disk / "spool").glob
        wait_until(lambda: any(each.stat().st_size for each in parts("*.part")), "bytes have come")
        fill_up(filler)
        hub.rate = None
        seen = clients.join()
    filler.unlink()
    (with_space,) = pull(layer, mirror, 1)

    assert [each.is_right for each in seen] == [True] * 4, seen
    reasons = {event["why"] for event in mirror.events("passed through, not stored")}
    assert any("No space left" in why for why in reasons), mirror.log()
    assert read_count(mirror, "entrepot_passed_through_total") == 4
    assert with_space.is_right, with_space
    assert layer.await_file(mirror) == layer.expected.read_bytes()


@pytest.fixture
def large_disk_mirror(make_mirror: MirrorMaker, small_disk: Path) -> MirrorProcess:
    """A mirror whose data folder is a file system of 256 MiB."""
    mount("-o", "remount,size=256m", str(small_disk))
    return make_mirror(NO_RESERVE)


@pytest.mark.parametrize("turns", ["a", pytest.param("abc", marks=pytest.mark.programs)])
def test_a_disk_that_is_filled_to_the_last_byte_again_and_again(
    hub: FakeUpstream,
    large_disk_mirror: MirrorProcess,
    tmp_path: Path,
    small_disk: Path,
    turns: str,
) -> None:
    """Full during downloads, then with space: all bytes right, and stored when there is space."""
    for turn in turns:
        large = [
            publish(tmp_path, SIZE + ord(turn) * 2 + n, hub, repository=f"large/{turn}{n}")
            for n in range(2)
        ]
        small = [hub.add_image(f"small/{turn}{n}", "1", [f"{turn}{n}".encode()]) for n in range(4)]
        hub.rate = 16 * MIB
        seen = pull_while_full(large_disk_mirror, large, small, hub)
        assert [each.is_right for each in seen] == [True] * 6, seen
        expect_caching(large_disk_mirror, large, small)
        check_catalog(small_disk)
    reasons = {event["why"] for event in large_disk_mirror.events("passed through, not stored")}
    assert any("No space left" in why for why in reasons), large_disk_mirror.log()
    large_disk_mirror.kill()
    large_disk_mirror.start()
    check_catalog(small_disk)
    assert large_disk_mirror.events("catalog rebuilt") == []


def pull_while_full(
    mirror: MirrorProcess, large: list[LargeLayer], small: list[Image], hub: FakeUpstream
) -> list[Pull]:
    """Begin to pull large blobs, let another program fill the disk; return what clients saw."""
    with ExitStack() as stack:
        groups = [
            stack.enter_context(ManyClients(layer.pull_manifest(mirror), layer.expected, 3))
            for layer in large
        ]
        parts = [layer.part(mirror) for layer in large]
        wait_until(lambda: all(part.exists() for part in parts), "all downloads have begun")
        with kept_full(mirror.data / "filler"):
            pull_small(mirror, small)
            hub.rate = None
            seen = [each for clients in groups for each in clients.join()]
            check_catalog(mirror.data)
    return seen


def expect_caching(mirror: MirrorProcess, large: list[LargeLayer], small: list[Image]) -> None:
    """When there is space again, what is pulled is stored."""
    for layer in large:
        assert pull(layer, mirror, 1)[0].is_right
        assert layer.await_file(mirror) == layer.expected.read_bytes()
    wait_until(lambda: set(pull_small(mirror, small)) == {"hit"}, "they are kept")


def pull_small(mirror: MirrorProcess, images: list[Image]) -> list[str | None]:
    """Pull images of a few bytes; return the origin of each answer."""
    origins = []
    for image in images:
        base = f"{mirror.url}/v2/{image.repository}"
        manifest = fetch(f"{base}/manifests/1")
        assert manifest.body == image.manifest
        blobs = [fetch(f"{base}/blobs/{digest}") for digest in image.blobs]
        assert [digest_bytes(blob.body) for blob in blobs] == list(image.blobs)
        origins += [answer.origin for answer in (manifest, *blobs)]
    return origins


def test_a_spool_that_cannot_be_written(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, small_disk: Path
) -> None:
    """With a read-only spool everything is passed through, and the log says so."""
    layer = publish(tmp_path, 4 * MIB, hub)
    mirror = make_mirror(NO_RESERVE)
    ingests = str(small_disk / "spool")
    mount("--bind", ingests, ingests)
    mount("-o", "remount,ro,bind", ingests)
    try:
        seen = pull(layer, mirror, 4)
    finally:
        subprocess.run(["umount", ingests], check=True)

    assert [pull.is_right for pull in seen] == [True] * 4, seen
    (why,) = {event["why"] for event in mirror.events("passed through, not stored")}
    assert "Read-only file system" in why
