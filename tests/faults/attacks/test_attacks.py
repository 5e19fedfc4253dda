"""Laws of attacks: honest clients are served, and everything that an attack took comes back.

The full sizes are measured by `python -m tests.faults.attacks`, for docs/evidence/0007-attacks.md.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.faults.attacks.kinds import KINDS, OF_USERS
from tests.faults.attacks.sizes import DESCRIPTORS, FULL, SECONDS
from tests.faults.attacks.trial import Trial
from tests.integration.wire import fetch, wait_until

SMALL = 20  # a small attack has a part of the connections of a full one
LIMITS = {
    "connections": 30,
    "connections_per_address": 20,
    "request_timeout": "1s",
    "send_timeout": "1s",
}


def read_counter(page: str, name: str, reason: str) -> float:
    wanted = f'entrepot_{name}_connections_total{{reason="{reason}"}} '
    return sum(float(line[len(wanted) :]) for line in page.splitlines() if line.startswith(wanted))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("non-readers", "stalled"),
        pytest.param("dribbling heads", "slow request", marks=pytest.mark.programs),
    ],
)
def test_an_attack_ends(
    make_mirror: MirrorMaker, hub: FakeUpstream, kind: str, reason: str
) -> None:
    """While an address takes all that it may have, others are served; it is cut, and counted."""
    image = hub.add_image("library/app", "1", [bytes(8 << 20)])
    mirror = make_mirror({"limits": LIMITS}, workers=1)
    manifest = f"{mirror.url}/v2/library/app/manifests/1"
    blob = f"/v2/library/app/blobs/{image.layers[0]}"
    assert [fetch(manifest).status, fetch(mirror.url + blob).status] == [200, 200]
    port = mirror.host.rpartition(":")[2]
    command = [sys.executable, "-m", "tests.faults.attacks.attacker", kind, port, "60", blob]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as attacker:
        cut = lambda: read_counter(fetch(f"{mirror.console}/metrics").body.decode(), "cut", reason)  # noqa: E731
        wait_until(lambda: cut() >= 20, "connections of the attack are cut")
        answers = [fetch(manifest) for _ in range(10)]
        said, _ = attacker.communicate(b"\n")

    assert [answer.status for answer in answers] == [200] * 10
    assert max(answer.seconds for answer in answers) < 1
    assert json.loads(said)["closed"] >= 20
    wait_until(lambda: len(mirror.events("clients refused")) > 0, "the log says so")


def test_overload_is_told(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """While a worker refuses clients, /readyz is 503 and says why; later it is 200 again."""
    image = hub.add_image("library/app", "1", [bytes(8 << 20)])
    mirror = make_mirror(
        {"limits": {"connections": 2, "connections_per_address": 2, "send_timeout": "5s"}},
        workers=1,
    )
    blob = f"/v2/library/app/blobs/{image.layers[0]}"
    fetch(f"{mirror.url}/v2/library/app/manifests/1")
    assert fetch(mirror.url + blob).status == 200
    assert fetch(f"{mirror.console}/readyz").status == 200
    name, _, port = mirror.host.rpartition(":")
    with ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(socket.create_connection((name, int(port))))
            client.sendall(f"GET {blob} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        time.sleep(0.2)
        refused = fetch(f"{mirror.url}/v2/")
        assert (refused.status, refused.code) == (503, "UNAVAILABLE")
        assert refused.headers["Retry-After"] == "5"
        wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 503, "/readyz says it")
        assert "refuses clients" in fetch(f"{mirror.console}/readyz").body.decode()
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness comes back")
    assert "entrepot_connection_limit 2.0" in fetch(f"{mirror.console}/metrics").body.decode()


@pytest.mark.programs
@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
def test_a_small_attack(tmp_path: Path, note: Callable[[str], None], kind: str) -> None:
    """A twentieth of each attack, at a limit of 384 descriptors, and of one question a second."""
    with Trial(tmp_path, kind, 384, {"not_found_per_address": 1}) as trial:
        outcome = trial.run(max(5, FULL[kind] // SMALL), 5)

    note(str(outcome))
    assert outcome.list_faults() == []


@pytest.mark.programs
@pytest.mark.alone
@pytest.mark.parametrize("kind", [*OF_USERS, "lists", "handshakes left open"])
def test_a_small_attack_on_users(tmp_path: Path, note: Callable[[str], None], kind: str) -> None:
    """Of attacks on logins, on TLS, and on lists of what is hidden, a fifth has the same bars."""
    with Trial(tmp_path, kind, 384, has_users=True) as trial:
        outcome = trial.run(FULL[kind] // 5, 5)

    note(str(outcome))
    assert outcome.list_faults() == []


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("descriptors", DESCRIPTORS)
@pytest.mark.parametrize(
    ("kind", "has_users"),
    [*((kind, False) for kind in KINDS), *((kind, True) for kind in (*KINDS, *OF_USERS))],
)
def test_a_full_attack(
    tmp_path: Path, note: Callable[[str], None], kind: str, descriptors: int, *, has_users: bool
) -> None:
    """Each attack at full size keeps the bars."""
    with Trial(tmp_path, kind, descriptors, has_users=has_users) as trial:
        outcome = trial.run(FULL[kind], SECONDS)

    note(str(outcome))
    assert outcome.list_faults() == []
