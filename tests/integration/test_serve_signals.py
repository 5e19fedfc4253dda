"""What operators do to a running mirror: stop it, reload it, lose a process of it."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.test_console import read_metrics
from tests.integration.wire import PATIENCE, fetch, wait_until

pytestmark = pytest.mark.programs

MIB = 1 << 20
SIZE = 16 * MIB


class Download:
    """A blob being read slowly in a thread of its own."""

    def __init__(self, mirror: MirrorProcess, digest: str, pause: float = 0.0) -> None:
        self._host = mirror.host
        self._path = f"/v2/team/big/blobs/{digest}"
        self._pause = pause
        self._hash = hashlib.sha256()
        self.received = 0
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        wait_until(lambda: self.received > MIB, "the download is under way")

    def _read(self) -> None:
        connection = HTTPConnection(self._host, timeout=PATIENCE)
        connection.request("GET", self._path)
        with connection.getresponse() as response:
            while piece := response.read(MIB // 2):
                self._hash.update(piece)
                self.received += len(piece)
                time.sleep(self._pause)
        connection.close()

    def finish(self) -> str:
        """Wait for the end; the digest of what came."""
        self._thread.join(PATIENCE * 2)
        assert not self._thread.is_alive(), "the download does not end"
        return f"sha256:{self._hash.hexdigest()}"


@pytest.fixture
def big(hub: FakeUpstream) -> str:
    """A blob that takes seconds over its upstream's line."""
    return hub.add_big_blob(SIZE, repository="team/big")


@pytest.fixture(params=["stored", "arriving"])
def download(
    request: pytest.FixtureRequest, hub: FakeUpstream, big: str
) -> Callable[[MirrorProcess], Download]:
    """Begins a download that takes about two seconds, of a blob that is here or still comes."""

    def begin(mirror: MirrorProcess) -> Download:
        if request.param == "stored":
            fetch(f"{mirror.url}/v2/team/big/blobs/{big}")
            return Download(mirror, big, pause=0.06)
        hub.rate = 8 * MIB
        return Download(mirror, big)

    return begin


def list_children(mirror: MirrorProcess) -> list[int]:
    """Return the process ids below the supervisor, the background process first."""
    listed = Path(f"/proc/{mirror.pid}/task/{mirror.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def wait_for_children(mirror: MirrorProcess, count: int) -> list[int]:
    """The same, once there are so many: the last are made while the first ones serve."""
    wait_until(lambda: len(list_children(mirror)) == count, f"{count} processes")
    return list_children(mirror)


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_sigterm_drains(
    make_mirror: MirrorMaker, big: str, download: Callable[[MirrorProcess], Download]
) -> None:
    """A download under way is finished, then the mirror exits with 0 and leaves no process."""
    mirror = make_mirror(workers=1)
    running = download(mirror)
    children = wait_for_children(mirror, 2)
    process = mirror._process
    assert process is not None

    os.kill(mirror.pid, signal.SIGTERM)

    assert running.finish() == big
    assert process.wait(PATIENCE) == 0
    assert [pid for pid in children if is_running(pid)] == []


def test_sighup_reloads(
    make_mirror: MirrorMaker,
    hub: FakeUpstream,
    big: str,
    download: Callable[[MirrorProcess], Download],
) -> None:
    """A new upstream appears, no connection is refused meanwhile, no download is broken."""
    image = hub.add_image("team/new", "1", [b"new"])
    mirror = make_mirror(workers=1)
    url = f"{mirror.url}/v2/new.test/team/new/manifests/1"
    assert fetch(url).status == 404
    running = download(mirror)
    added = f'\n[upstreams."new.test"]\nendpoints = ["{hub.url}"]\n'
    mirror.config.write_text(mirror.config.read_text() + added)

    os.kill(mirror.pid, signal.SIGHUP)

    wait_until(lambda: fetch(url).status == 200, "the new upstream")
    assert fetch(url).body == image.manifest
    assert running.finish() == big
    (line,) = mirror.events("reloaded")
    assert line["settings"] == str(mirror.config)
    assert line["changed"] == ['upstreams."new.test": added']
    assert "needs_restart" not in line
    assert mirror.stop() == 0


def test_sighup_to_every_process_reloads_too(make_mirror: MirrorMaker) -> None:
    """`systemctl kill -s HUP` reaches the workers too, which leave it to the supervisor."""
    mirror = make_mirror(workers=2)
    former = wait_for_children(mirror, 3)

    os.killpg(mirror.pid, signal.SIGHUP)

    wait_until(lambda: mirror.events("reloaded"), "a line that says so")
    wait_until(lambda: len(set(list_children(mirror)) - set(former)) == 3, "three new processes")
    wait_until(lambda: len(list_children(mirror)) == 3, "the former processes end")
    assert mirror.events("a process died and is replaced") == []


def test_a_bad_reload_changes_nothing(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """The previous settings stay, and log and metrics say so; when it is mended, all is well."""
    image = hub.add_image("team/kept", "1", [b"kept"])
    mirror = make_mirror(workers=1)
    right = mirror.config.read_text()
    mirror.config.write_text(f"{right}\n[tag]\nfresh_for = 1\n")
    children = wait_for_children(mirror, 2)
    before = read_loading(mirror)

    os.kill(mirror.pid, signal.SIGHUP)

    said = "not reloaded: the previous settings stay"
    wait_until(lambda: mirror.events(said), "a line that says so")
    assert "tag" in mirror.events(said)[0]["why"]
    assert list_children(mirror) == children
    assert fetch(f"{mirror.url}/v2/team/kept/manifests/1").body == image.manifest
    refused = read_loading(mirror)
    mirror.config.write_text(right)
    os.kill(mirror.pid, signal.SIGHUP)
    wait_until(lambda: read_loading(mirror) > before, "it is loaded again")
    assert (before[0], refused) == (1, (0, before[1]))


def read_loading(mirror: MirrorProcess) -> tuple[float, float]:
    """Return whether the settings were loaded the last time, and when they last were."""
    metrics = read_metrics(mirror)
    name = "entrepot_config_reload_success"
    return metrics[name], metrics[f"{name}_timestamp_seconds"]


def test_a_reload_moves_no_data_folder(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path
) -> None:
    """With another storage.path all else is reloaded, and the folder stays until a restart."""
    image = hub.add_image("team/kept", "1", [b"kept"])
    mirror = make_mirror({"tags": {"fresh_for": "1h"}}, workers=1)
    url = f"{mirror.url}/v2/team/kept/manifests/1"
    assert fetch(url).body == image.manifest
    added = f'\n[upstreams."new.test"]\nendpoints = ["{hub.url}"]\n'
    moved = mirror.config.read_text().replace(str(mirror.data), str(tmp_path / "elsewhere"))
    mirror.config.write_text(moved + added)

    os.kill(mirror.pid, signal.SIGHUP)

    new = f"{mirror.url}/v2/new.test/team/kept/manifests/1"
    wait_until(lambda: fetch(new).status == 200, "the new upstream")
    (line,) = mirror.events("reloaded")
    assert line["needs_restart"] == [
        f'storage.path = "{tmp_path / "elsewhere"}" (was "{mirror.data}")'
    ]
    hub.stop()
    assert fetch(url).body == image.manifest
    assert (mirror.data / "tags" / "new.test" / "team" / "kept" / "@" / "tag-1").exists()
    assert not (tmp_path / "elsewhere").exists()
    # The background process, too, still listens on the same address.
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness")
    wait_until(lambda: len(list_children(mirror)) == 2, "the former processes end")
    assert mirror.events("a process died and is replaced") == []


def test_a_killed_worker_is_replaced(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Whichever process dies, a new one takes its place, and pulls go on."""
    image = hub.add_image("team/kept", "1", [b"kept"])
    mirror = make_mirror(workers=2)
    url = f"{mirror.url}/v2/team/kept/manifests/1"
    former = wait_for_children(mirror, 3)

    for number, pid in enumerate(former, 1):
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda count=number: len(mirror.events("a process died and is replaced")) == count,
            "a line that says so",
        )
    wait_until(lambda: len(set(list_children(mirror)) - set(former)) == 3, "three new processes")

    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness")
    assert {fetch(url).body for _ in range(10)} == {image.manifest}


def test_children_do_not_outlive_the_supervisor(make_mirror: MirrorMaker) -> None:
    """When the supervisor is killed its children notice and end, so that the port is free."""
    mirror = make_mirror(workers=2)
    children = wait_for_children(mirror, 3)

    os.kill(mirror.pid, signal.SIGKILL)

    wait_until(lambda: not [pid for pid in children if is_running(pid)], "every child ends")


CHILD = """\
import os, signal
from registry.server.supervisor import WATCHED, _run_and_exit

async def work():
    print("works", flush=True)

signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
if (pid := os.fork()) == 0:
    os.kill(os.getpid(), signal.SIGINT)
    _run_and_exit(work())
print(os.waitpid(pid, 0)[1])
"""


def test_ctrl_c_while_a_process_starts_prints_no_trace() -> None:
    """The terminal interrupts all processes; each waits for the supervisor to end it."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("works\n0\n", "")
