"""Laws of the supervisor and its children under signals, crashes and failing disks."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.server.heartbeats import Heartbeats
from registry.server.shared import SharedResources
from registry.server.worker import run_worker
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, open_folder
from registry.wiring.data_folder import prepare_catalog
from registry.wiring.services import build_mirror_service
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children
from tests.integration.wire import PATIENCE, fetch, wait_until

pytestmark = pytest.mark.programs

SERVE = (sys.executable, "-m", "registry", "serve", "--config")
REPLACED = "a process did not answer and is replaced"
# What a supervisor needs before it starts processes.
SHARED = """configure_logs()
signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
pulls, console = socket.socketpair()
supervisor_pipe, own_end = os.pipe()
folder = DataFolder(Path(sys.argv[1]))
beats = Heartbeats(2)
shared = SharedResources(Settings(), folder, pulls, console, beats, supervisor_pipe, folder.root)
"""
MAX_FAILED_STARTS = (
    """
import os, socket, sys
from pathlib import Path
from registry.server.shared import SharedResources
from registry.server.heartbeats import Heartbeats
from registry.logs import configure_logs
from registry.server.supervisor import Supervisor, signal, WATCHED
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder

async def die(shared, number):
    if number >= 0:
        raise OSError("no room")
"""
    + SHARED
    + """sys.exit(0 if Supervisor(die, 2, lambda former: former, own_end).run(shared) else 1)
"""
)

STOPPED = (
    """
import asyncio, os, socket, sys
from pathlib import Path
from registry.logs import configure_logs
from registry.server import child, supervisor
from registry.server.heartbeats import BACKGROUND, Heartbeats
from registry.server.shared import SharedResources
from registry.server.supervisor import Supervisor, signal, WATCHED
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder

supervisor.INTERVAL = child.INTERVAL = 0.1

async def stop_once(shared, number):
    beating = asyncio.create_task(child.keep_beating(shared.heartbeats, number))
    ending = asyncio.create_task(child.wait_for_end(shared.supervisor_pipe))
    await asyncio.sleep(0.2)
    mark = shared.folder.root / str(number)
    if number in (BACKGROUND, 0) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    elif number in (BACKGROUND, 0):
        (shared.folder.root / f"again {number}").touch()
    if all((shared.folder.root / f"again {each}").exists() for each in (BACKGROUND, 0)):
        os.kill(os.getppid(), signal.SIGTERM)
    await ending
"""
    + SHARED
    + """Supervisor(stop_once, 2, lambda former: former, own_end, silence=1.0).run(shared)
"""
)


@pytest.fixture
def config(make_mirror: MirrorMaker) -> Path:
    """The settings of a mirror that has run and is stopped."""
    mirror = make_mirror(workers=1)
    assert mirror.stop() == 0
    return mirror.config


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedResources]:
    """What a child would be handed, its sockets listening."""
    folder = open_folder(tmp_path / "data")
    prepare_catalog(folder)
    (folder.root / "metrics").mkdir()
    supervisor_pipe, own_end = os.pipe()
    settings = Settings(offline=True)
    with (
        socket.create_server(("127.0.0.1", 0)) as pulls,
        socket.create_server(("127.0.0.1", 0)) as console,
    ):
        metrics = folder.root / "metrics"
        yield SharedResources(
            settings, folder, pulls, console, Heartbeats(1), supervisor_pipe, metrics
        )
    os.close(supervisor_pipe)
    os.close(own_end)


def is_refused(host: str) -> bool:
    name, _, port = host.rpartition(":")
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        return client.connect_ex((name, int(port))) != 0


def test_new_clients_are_refused_during_the_drain(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """While a running answer is finished, the connection of a new client is refused at once."""
    digest = hub.add_big_blob(4 << 20, repository="team/slow")
    hub.rate = 1 << 20
    mirror = make_mirror(workers=2)
    process = mirror._process
    assert process is not None
    name, _, port = mirror.host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=PATIENCE) as client:
        client.sendall(f"GET /v2/team/slow/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.recv(1024)

        os.kill(mirror.pid, signal.SIGTERM)

        wait_until(lambda: is_refused(mirror.host), "the kernel refuses")
        assert process.poll() is None
        received = sum(map(len, iter(lambda: client.recv(1 << 16), b"")))
    assert received > 3 << 20
    assert process.wait(PATIENCE) == 0


def test_children_of_others_are_reaped(config: Path) -> None:
    """As PID 1 of a container, the supervisor survives the death of a child it did not start."""
    command = ["sh", "-c", 'sleep 300 & exec "$@"', "sh", *SERVE, str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        adopted = min(wait_for_serving(process))

        os.kill(adopted, signal.SIGKILL)
        wait_until(lambda: adopted not in list_children(process.pid), "the adopted child is reaped")

        process.terminate()
        assert process.stderr.read().count("Traceback") == 0
        assert process.wait(PATIENCE) == 0


def wait_for_serving(process: subprocess.Popen[str]) -> list[int]:
    """The children of a supervisor that has just said that it serves."""
    assert process.stderr is not None
    assert any('"event":"serving"' in line for line in process.stderr)
    return list_children(process.pid)


def test_a_signal_right_after_the_first_line(config: Path) -> None:
    """SIGTERM at the moment when the mirror logs that it serves drains it: exit code 0."""
    with subprocess.Popen([*SERVE, config], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any('"event":"serving"' in line for line in process.stderr)

        process.terminate()

        assert process.wait(PATIENCE) == 0


def test_a_worker_that_cannot_accept_crashes(shared: SharedResources) -> None:
    """When accepting ends by an error the worker ends with it, rather than beating on."""
    shared.pulls.close()

    with pytest.raises(ValueError, match="file descriptor"):
        asyncio.run(asyncio.wait_for(run_worker(build_mirror_service(), shared, 0), PATIENCE))


def test_metrics_live_in_the_data_folder(make_mirror: MirrorMaker) -> None:
    """Counters are files of the data folder; the next server records them, and deletes them."""
    mirror = make_mirror(workers=1)
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness")
    former = set((mirror.data / "metrics").glob("*/*.db"))
    mirror.kill()

    mirror.start()

    assert former
    wait_until(lambda: not [path for path in former if path.exists()], "they are deleted")


def test_a_newer_data_folder_is_not_touched(config: Path) -> None:
    """Not even its counters are: the start is refused before."""
    data = config.parent / "data"
    (data / "LAYOUT").write_text("99\n")
    (data / "metrics" / "mark").touch()

    done = subprocess.run([*SERVE, config], capture_output=True, timeout=PATIENCE, check=False)

    assert done.returncode == 2
    assert (data / "metrics" / "mark").exists()


def break_catalog(mirror: MirrorProcess) -> None:
    """Make the catalog unusable for processes that have not opened it yet."""
    catalog = DataFolder(mirror.data).catalog
    catalog.rename(catalog.with_suffix(".away"))
    catalog.mkdir()


def test_a_reload_that_cannot_start_keeps_the_former(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """When no new worker comes to life the former ones go on, and the log says so."""
    image = hub.add_image("team/kept", "1", [b"kept"])
    mirror = make_mirror(workers=1)
    url = f"{mirror.url}/v2/team/kept/manifests/1"
    assert fetch(url).status == 200
    former = list_children(mirror.pid)
    break_catalog(mirror)

    os.kill(mirror.pid, signal.SIGHUP)

    said = "not reloaded: the previous settings stay"
    wait_until(lambda: mirror.events(said), "a line that says so")
    wait_until(lambda: list_children(mirror.pid) == former, "the new ones are gone")
    assert fetch(url).body == image.manifest


def test_a_stopped_process_is_killed_and_replaced(tmp_path: Path) -> None:
    """A worker and a background process that do not beat are replaced; the others are let be."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, tmp_path],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    events = [json.loads(line) for line in done.stderr.splitlines()]
    replaced = [each["process"] for each in events if each["event"] == REPLACED]
    assert done.returncode == 0
    assert sorted(replaced) == ["background", "worker 0"], done.stderr
    assert [each for each in events if each["event"] == "a process died and is replaced"] == []


def test_workers_that_never_live_end_the_start(tmp_path: Path) -> None:
    """When workers die again and again before any lived, the mirror exits with 1 and says so."""
    done = subprocess.run(
        [sys.executable, "-c", MAX_FAILED_STARTS, tmp_path],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("cannot start: every worker died at once") == 1
