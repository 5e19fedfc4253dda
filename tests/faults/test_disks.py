"""The disk refuses: every client still gets its blob, and the log says why it is not kept."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.cargo import MIB, Cargo, publish
from tests.harness.crowd import Crowd, Pull
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

SIZE = 24 * MIB
NO_RESERVE = {"storage": {"reserve": 0}}


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """The data folder of the first mirror, on a file system of 16 MiB."""
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("needs root: mounts a tmpfs")
    folder = tmp_path / "mirror-0" / "data"
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_up(hog: Path) -> None:
    """Write until not another byte can be written."""
    with hog.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def read_count(mirror: MirrorProcess, name: str) -> float:
    """The value of a metric that has no labels."""
    lines = fetch(f"{mirror.console}/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def pull(cargo: Cargo, mirror: MirrorProcess, count: int) -> list[Pull]:
    with Crowd(cargo.introduce(mirror), cargo.truth, count) as crowd:
        return crowd.join()


@pytest.mark.parametrize("connections", [4, 1])
def test_a_disk_that_fills_up_costs_no_client_its_blob(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, room: Path, connections: int
) -> None:
    """A blob larger than the room is passed through; when there is room again it is kept."""
    cargo = publish(tmp_path, SIZE, hub)
    mirror = make_mirror(
        NO_RESERVE, upstreams={"docker.io": {"endpoints": [hub.url], "connections": connections}}
    )

    cramped = pull(cargo, mirror, 4)
    reasons = {event["why"] for event in mirror.events("passed through, not kept")}
    mount("-o", "remount,size=64m", str(room))
    (roomy,) = pull(cargo, mirror, 1)

    assert [pull.is_right for pull in cramped] == [True] * 4, cramped
    assert any("no room for" in why for why in reasons), mirror.log()
    assert roomy.is_right, roomy
    assert cargo.await_file(mirror) == cargo.truth.read_bytes()


def test_a_disk_that_is_full_already(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, room: Path
) -> None:
    """When another program has taken the last byte, manifests and blobs still come through."""
    cargo = publish(tmp_path, SIZE, hub)
    mirror = make_mirror(NO_RESERVE)
    pull(publish(tmp_path, MIB, hub, repository="library/earlier"), mirror, 1)
    hog = room / "hog"
    fill_up(hog)

    full = pull(cargo, mirror, 4)
    mount("-o", "remount,size=64m", str(room))
    hog.unlink()
    (roomy,) = pull(cargo, mirror, 1)

    assert [pull.is_right for pull in full] == [True] * 4, full
    assert roomy.is_right, roomy
    assert cargo.await_file(mirror) == cargo.truth.read_bytes()


def test_another_program_takes_the_room_during_a_fill(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, room: Path
) -> None:
    """Room that was promised and is gone costs nobody a blob; when there is some, it is kept."""
    mount("-o", "remount,size=64m", str(room))
    cargo = publish(tmp_path, SIZE, hub)
    hub.rate = 8 * MIB
    mirror = make_mirror(NO_RESERVE)
    hog = room / "hog"

    with Crowd(cargo.introduce(mirror), cargo.truth, 4) as crowd:
        wait_until(lambda: any((room / "spool").glob("*.part")), "the fill has begun")
        fill_up(hog)
        seen = crowd.join()
    hog.unlink()
    hub.rate = None
    (roomy,) = pull(cargo, mirror, 1)

    assert [each.is_right for each in seen] == [True] * 4, seen
    reasons = {event["why"] for event in mirror.events("passed through, not kept")}
    assert any("No space left" in why for why in reasons), mirror.log()
    assert read_count(mirror, "entrepot_passed_through_total") == 4
    assert roomy.is_right, roomy
    assert cargo.await_file(mirror) == cargo.truth.read_bytes()


def test_a_spool_that_cannot_be_written(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, room: Path
) -> None:
    """With a read-only spool everything is passed through, and the log says so."""
    cargo = publish(tmp_path, 4 * MIB, hub)
    mirror = make_mirror(NO_RESERVE)
    spool = str(room / "spool")
    mount("--bind", spool, spool)
    mount("-o", "remount,ro,bind", spool)
    try:
        seen = pull(cargo, mirror, 4)
    finally:
        subprocess.run(["umount", spool], check=True)

    assert [pull.is_right for pull in seen] == [True] * 4, seen
    (why,) = {event["why"] for event in mirror.events("passed through, not kept")}
    assert "Read-only file system" in why
