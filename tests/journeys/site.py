"""A traced mirror before a fake upstream, with clients that keep their connections."""

import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import clean_environment
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served
from tests.journeys.recording import STILL, Recording
from tests.journeys.tracer import Call

REPOSITORY = "library/journey"
PATIENCE = 60.0


@dataclass(frozen=True)
class Site:
    """A running mirror, its upstream, and the recorded calls of its processes.

    `workers` are the processes that serve readers: only what these call is looked at.
    """

    hub: FakeUpstream
    mirror: MirrorProcess
    recording: Recording
    workers: set[int] = field(default_factory=set)

    def add_blob(self, size: int, seed: int) -> str:
        """Have a blob of `size` bytes in the image `REPOSITORY:SEED`; returns its digest."""
        digest = self.hub.add_big_blob(size, seed=seed)
        self.hub.add_image(REPOSITORY, str(seed), [digest])
        return digest

    def settle(self, seconds: float = STILL) -> None:
        """Wait until nothing has been called for some time."""
        self.recording.await_stillness(self.workers, seconds)

    def trace(self, act: Callable[[int], object]) -> list[Call]:
        """Return the calls of a journey.

        `act` gets the number of the journey, which is over when nothing is called any more.
        """
        number = self.recording.begin()
        act(number)
        self.settle()
        self.recording.begin()
        return self.recording.read(number, self.workers)


@contextmanager
def open_site(folder: Path, workers: int) -> Iterator[Site]:
    """Start a traced mirror with this number of workers."""
    recording = Recording(folder / "calls")
    under = [sys.executable, "-m", "tests.journeys.traced", str(folder / "calls")]
    with FakeUpstream() as hub:
        # Tracing slows a download, and a slow one gets further connections.
        table = {"endpoints": [hub.url], "connections": 1}
        mirror = MirrorProcess(folder / "mirror", {"docker.io": table}, workers=workers)
        try:
            mirror.start_anew(under=under)
            yield Site(hub, mirror, recording)
        finally:
            mirror.kill()


class Reader:
    """A client with one connection, and so with one worker process."""

    def __init__(self, site: Site) -> None:
        host, _, port = site.mirror.host.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        self._site = site
        self.pid = 0

    def __enter__(self) -> Self:
        """Connect, and find out which process accepted.

        A journey begins, although nothing is traced: what that process does all the time has begun,
        and from here on is known as such.
        """
        self._connection.connect()
        self.get("/v2/")
        port = self._connection.sock.getsockname()[1]
        mirror = self._site.mirror
        (self.pid,) = count_served(mirror.pid, mirror.url, {port})
        self._site.workers.add(self.pid)
        self._site.recording.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, path: str, mark: str = "") -> None:
        """Ask for something; a `mark` makes the bytes of the request different from others."""
        headers = {"Accept": "*/*"} | ({"X-Mark": mark} if mark else {})
        self._connection.request("GET", path, headers=headers)

    def receive(self) -> bytes:
        """Return the whole answer to what was sent."""
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, f"{response.status} {body!r}"
        return body

    def get(self, path: str, mark: str = "") -> bytes:
        """Ask, and return the whole answer."""
        self.send(path, mark)
        return self.receive()

    def get_tag(self, tag: int, mark: str = "") -> bytes:
        """Pull the manifest `REPOSITORY:TAG`."""
        return self.get(f"/v2/{REPOSITORY}/manifests/{tag}", mark)

    def get_blob(self, digest: str) -> bytes:
        """Pull a blob."""
        return self.get(find_blob(digest))


def find_blob(digest: str) -> str:
    """The path at which a blob is pulled."""
    return f"/v2/{REPOSITORY}/blobs/{digest}"


def open_readers(site: Site, stack: ExitStack) -> tuple[Reader, Reader, Reader]:
    """Connect two readers to one worker, and the third to another one."""
    by_process: dict[int, list[Reader]] = {}
    for _ in range(40):
        reader = stack.enter_context(Reader(site))
        by_process.setdefault(reader.pid, []).append(reader)
        ranked = sorted(by_process.values(), key=len, reverse=True)
        if len(ranked) > 1 and len(ranked[0]) > 1:
            return ranked[0][0], ranked[0][1], ranked[1][0]
    raise AssertionError(f"all connections were accepted by {list(by_process)}")


def trace_command(recording: Recording, *arguments: str) -> list[Call]:
    """Run a command of `entrepot` with all its calls traced, from its first line to its end."""
    number = recording.begin()
    command = [sys.executable, "-m", "registry", *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "tests.journeys.traced", str(recording.folder), *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return recording.read(number)
