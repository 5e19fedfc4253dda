"""Processes of a mirror that die while they have secrets in memory."""

import base64
import os
import signal
from pathlib import Path
from threading import Thread

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import CLIENT_HEADER, UPSTREAM_PASSWORD
from tests.harness.processes import list_children
from tests.integration.wire import send_raw, wait_until


class DebuggedMirror(MirrorProcess):
    """A mirror of which Python tells everything that it can tell."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1"}


def test_processes_that_die_show_no_secret(tmp_path: Path, hub: FakeUpstream) -> None:
    """Killed in the middle of a request, with the passwords of the client and of the upstream.

    The harness searches what they have printed.
    """
    hub.private = {"team/app": ("ann", UPSTREAM_PASSWORD)}
    image = hub.add_image("team/app", "1", [b"layer" * 100_000])
    hub.rate = 50_000
    (tmp_path / "password").write_text(UPSTREAM_PASSWORD)
    login = {"username": "ann", "password_file": str(tmp_path / "password")}
    realm = hub.realm.split("/")[2]
    table = {"endpoints": [hub.url], "auth_realms": [realm]} | login
    sent = base64.b64encode(f"alice:{CLIENT_HEADER}".encode()).decode()
    request = (
        f"GET /v2/team/app/blobs/{image.layers[0]} HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: Basic {sent}\r\nConnection: close\r\n\r\n"
    )
    mirror = DebuggedMirror(tmp_path / "mirror", {"docker.io": table}, workers=1).start_anew()
    with mirror:
        client = Thread(target=_send, args=(mirror.host, request.encode()))
        client.start()
        wait_until(lambda: hub.journal.count("cdn"), "the download has begun")
        children = list_children(mirror.pid)
        assert {read_core_limit(each) for each in (mirror.pid, *children)} == {"0 0"}
        for child in children:
            os.kill(child, signal.SIGABRT)
        wait_until(lambda: mirror.log().count("Fatal Python error") >= 2, "two processes died")
        client.join()

    assert mirror.events("a process died and is replaced")


def read_core_limit(pid: int) -> str:
    """Return how large the core dump of a process may be: the soft and the hard limit."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("Max core file size"))
    return " ".join(found.split()[4:6])


def _send(host: str, request: bytes) -> None:
    try:
        send_raw(host, request)
    except ConnectionError:
        return
