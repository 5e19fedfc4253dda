"""What a process that was killed at the worst moment leaves in the spool."""

import json
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess

SIZE = 3 * MIB
GROWING, CONDEMNED, WHOLE = 0o600, 0o400, 0o444


def leave(layer: LargeLayer, mirror: MirrorProcess, content: bytes, mode: int) -> None:
    """Put a part and its announcement into the spool."""
    part = layer.part(mirror)
    part.write_bytes(content)
    part.chmod(mode)
    info = {
        "size": layer.size,
        "repository": f"docker.io/{layer.repository}",
        "endpoint": layer.hubs[0].url,
        "started": 1.0,
    }
    part.with_suffix(".json").write_text(json.dumps(info))


def pull(layer: LargeLayer, mirror: MirrorProcess) -> Pull:
    with ManyClients(layer.url(mirror), layer.expected) as clients:
        (seen,) = clients.join()
    return seen


@pytest.fixture
def layer(hub: FakeUpstream, tmp_path: Path) -> LargeLayer:
    return publish(tmp_path, SIZE, hub)


@pytest.fixture
def begun(make_mirror: MirrorMaker, layer: LargeLayer) -> MirrorProcess:
    """A mirror that knows the image and has not fetched its layer."""
    mirror = make_mirror()
    layer.pull_manifest(mirror)
    return mirror


@pytest.mark.parametrize("mode", [GROWING, WHOLE])
def test_a_verified_part_is_adopted(layer: LargeLayer, begun: MirrorProcess, mode: int) -> None:
    """Killed between the last byte and the final name: nothing is fetched again."""
    leave(layer, begun, layer.expected.read_bytes(), mode)

    seen = pull(layer, begun)

    assert seen.is_right, seen
    assert layer.sent() == 0
    assert layer.await_file(begun) == layer.expected.read_bytes()
    assert not layer.part(begun).exists()


@pytest.mark.parametrize("mode", [GROWING, CONDEMNED, WHOLE])
@pytest.mark.parametrize("length", [SIZE, SIZE + 1])
def test_a_complete_wrong_part_is_thrown_away(
    layer: LargeLayer, begun: MirrorProcess, mode: int, length: int
) -> None:
    """However it got there, a part of full length that is wrong never reaches a client."""
    leave(layer, begun, bytes(length), mode)

    seen = pull(layer, begun)

    assert seen.is_right, seen
    assert layer.sent() == layer.size
    assert layer.await_file(begun) == layer.expected.read_bytes()


@pytest.mark.parametrize("mode", [CONDEMNED, WHOLE])
def test_a_short_part_with_a_verdict_is_thrown_away(
    layer: LargeLayer, begun: MirrorProcess, mode: int
) -> None:
    """A partial file that is marked as wrong, or lost its end in a power cut, is not resumed."""
    leave(layer, begun, layer.expected.read_bytes()[:-1], mode)

    seen = pull(layer, begun)

    assert seen.is_right, seen
    assert layer.sent() == layer.size


def test_a_wrong_beginning_is_found_at_the_end(layer: LargeLayer, begun: MirrorProcess) -> None:
    """A prefix that rotted cuts its reader off, and the next pull is right."""
    leave(layer, begun, bytes(MIB), GROWING)

    first, second = pull(layer, begun), pull(layer, begun)

    assert first.received < layer.size
    assert second.is_right, second
