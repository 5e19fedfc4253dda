"""What a process that was killed at the worst moment leaves in the spool."""

import json
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.large_layer import MIB, Cargo, publish
from tests.harness.many_clients import Crowd, Pull
from tests.harness.mirror import MirrorProcess

SIZE = 3 * MIB
GROWING, CONDEMNED, WHOLE = 0o600, 0o400, 0o444


def leave(cargo: Cargo, mirror: MirrorProcess, content: bytes, mode: int) -> None:
    """Put a part and its announcement into the spool."""
    part = cargo.part(mirror)
    part.write_bytes(content)
    part.chmod(mode)
    info = {
        "size": cargo.size,
        "repository": f"docker.io/{cargo.repository}",
        "endpoint": cargo.hubs[0].url,
        "started": 1.0,
    }
    part.with_suffix(".json").write_text(json.dumps(info))


def pull(cargo: Cargo, mirror: MirrorProcess) -> Pull:
    with Crowd(cargo.url(mirror), cargo.truth) as crowd:
        (seen,) = crowd.join()
    return seen


@pytest.fixture
def cargo(hub: FakeUpstream, tmp_path: Path) -> Cargo:
    return publish(tmp_path, SIZE, hub)


@pytest.fixture
def begun(make_mirror: MirrorMaker, cargo: Cargo) -> MirrorProcess:
    """A mirror that knows the image and has not fetched its layer."""
    mirror = make_mirror()
    cargo.introduce(mirror)
    return mirror


@pytest.mark.parametrize("mode", [GROWING, WHOLE])
def test_a_verified_part_is_adopted(cargo: Cargo, begun: MirrorProcess, mode: int) -> None:
    """Killed between the last byte and the final name: nothing is fetched again."""
    leave(cargo, begun, cargo.truth.read_bytes(), mode)

    seen = pull(cargo, begun)

    assert seen.is_right, seen
    assert cargo.sent() == 0
    assert cargo.await_file(begun) == cargo.truth.read_bytes()
    assert not cargo.part(begun).exists()


@pytest.mark.parametrize("mode", [GROWING, CONDEMNED, WHOLE])
@pytest.mark.parametrize("length", [SIZE, SIZE + 1])
def test_a_complete_wrong_part_is_thrown_away(
    cargo: Cargo, begun: MirrorProcess, mode: int, length: int
) -> None:
    """However it got there, a part of full length that is wrong never reaches a client."""
    leave(cargo, begun, bytes(length), mode)

    seen = pull(cargo, begun)

    assert seen.is_right, seen
    assert cargo.sent() == cargo.size
    assert cargo.await_file(begun) == cargo.truth.read_bytes()


@pytest.mark.parametrize("mode", [CONDEMNED, WHOLE])
def test_a_short_part_with_a_verdict_is_thrown_away(
    cargo: Cargo, begun: MirrorProcess, mode: int
) -> None:
    """A part that was condemned, or lost its end in a power cut, is not gone on with."""
    leave(cargo, begun, cargo.truth.read_bytes()[:-1], mode)

    seen = pull(cargo, begun)

    assert seen.is_right, seen
    assert cargo.sent() == cargo.size


def test_a_wrong_beginning_is_found_at_the_end(cargo: Cargo, begun: MirrorProcess) -> None:
    """A prefix that rotted cuts its reader off, and the next pull is right."""
    leave(cargo, begun, bytes(MIB), GROWING)

    first, second = pull(cargo, begun), pull(cargo, begun)

    assert first.received < cargo.size
    assert second.is_right, second
