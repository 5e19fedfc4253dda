"""`entrepot serve` on a terminal: what a person sees, and how the terminal ends it."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children
from tests.harness.terminal import CTRL_C, TerminalProcess
from tests.integration.wire import PATIENCE, wait_until

MIB = 1 << 20
SIZE = 3 * MIB
ADDRESS = r"serves pulls at (http://127\.0\.0\.1:\d+)"
Opener = Callable[..., TerminalProcess]


@pytest.fixture
def open_terminal(tmp_path: Path, hub: FakeUpstream) -> Iterator[Opener]:
    """Starts a mirror of `hub` on a terminal."""
    mirror = MirrorProcess(tmp_path / "mirror", {"docker.io": hub.url}, workers=2)
    mirror._write_config()
    with ExitStack() as stack:

        def begin(*arguments: str, **options: object) -> TerminalProcess:
            command = [*mirror.command(), *arguments]
            return stack.enter_context(TerminalProcess(*command, **options))  # type: ignore[arg-type]

        yield begin


def get(url: str, client: str = "127.0.0.1") -> tuple[int, bytes]:
    """Send a request from an address of this machine."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE, source_address=(client, 0))
    with closing(connection):
        connection.request("GET", parts.path)
        response = connection.getresponse()
        return response.status, response.read()


def pull(url: str, image: Image, client: str = "127.0.0.1") -> None:
    """Pull an image over many connections, so that several workers answer."""
    base = f"{url}/v2/{image.repository}"
    assert get(f"{base}/manifests/{image.tag}", client)[0] == 200
    threads = [
        threading.Thread(target=get, args=(f"{base}/blobs/{digest}", client))
        for digest in image.blobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class SlowPull:
    """A pull of one large blob that is running."""

    def __init__(self, url: str, hub: FakeUpstream, name: str = "team/large") -> None:
        hub.rate = 2 * MIB
        digest = hub.add_big_blob(SIZE, repository=name)
        self.received = b""
        self._path = f"{url}/v2/{name}/blobs/{digest}"
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, HTTPException):  # it was cut off
            _, self.received = get(self._path)

    def finish(self) -> int:
        """Wait for its end; return how many bytes came."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return len(self.received)


def test_the_banner_says_what_to_do(open_terminal: Opener, tmp_path: Path) -> None:
    """Address, a command to try, where the data is, and how to stop; no log, and no audit."""
    with open_terminal() as terminal:
        url = terminal.wait_for(ADDRESS)[1]
        terminal.wait_for("Each pull is one line")

    assert f"docker pull {url.removeprefix('http://')}/docker.io/library/busybox" in terminal.text
    assert str(tmp_path / "mirror" / "data") in terminal.text
    assert "Ctrl-C" in terminal.text
    assert "50 GiB" in terminal.text
    assert "{" not in terminal.text
    assert "audit" not in terminal.text
    assert "0 B" not in terminal.text


def test_each_pull_is_one_line(open_terminal: Opener, hub: FakeUpstream) -> None:
    """Image, size, origin, seconds and client, however many requests and workers it took."""
    layers = [bytes([number]) * 400_000 for number in range(5)]
    image = hub.add_image("library/app", "1.2", layers)
    with open_terminal() as terminal:
        url = terminal.wait_for(ADDRESS)[1]
        pull(url, image)
        terminal.wait_for("downloaded .* 127.0.0.1")
        pull(url, image, "127.0.0.2")
        terminal.wait_for("cached .* 127.0.0.2")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0

    first, second = terminal.lines("docker.io/library/app:1.2")
    size = r"1\.9\d MiB"
    line = rf"\d\d:\d\d  docker\.io/library/app:1\.2  {size}"
    assert re.fullmatch(rf"{line}  downloaded  \d+\.\d+ s  127\.0\.0\.1", first), first
    assert re.fullmatch(rf"{line}  cached  \d\.\d+ s  127\.0\.0\.2", second), second
    assert max(len(first), len(second)) <= 80


def test_a_pull_that_fails_says_why(open_terminal: Opener) -> None:
    """The line of an image that does not exist has the reason in place of size and origin."""
    with open_terminal(columns=300) as terminal:
        url = terminal.wait_for(ADDRESS)[1]
        get(f"{url}/v2/library/absent/manifests/1")
        line = terminal.wait_for("docker.io/library/absent:1  failed: .*")[0]
        get(f"{url}/v2/nosuchreg.example/foo/manifests/1")
        other = terminal.wait_for("nosuchreg.example/foo:1  failed: .*")[0]

    assert "127.0.0.1" in line
    assert '[upstreams."nosuchreg.example"]' in other


def test_progress_is_shown_while_downloading(open_terminal: Opener, hub: FakeUpstream) -> None:
    """A bar has the image, what is here and what is expected; without a download there is none."""
    with open_terminal() as terminal:
        url = terminal.wait_for(ADDRESS)[1]
        terminal.wait_for("Each pull is one line")
        assert "MiB" not in terminal.text.partition("Each pull")[2]
        running = SlowPull(url, hub)
        terminal.wait_for(r"large [0-9a-f]{12} .*[1-9]\.\d/3\.1 MB|large .*/3\.0 MiB")
        assert running.finish() == SIZE
        terminal.wait_for(r"docker.io/team/large  3 MiB  downloaded")


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_plain_terminals_get_plain_text(
    open_terminal: Opener, hub: FakeUpstream, name: str
) -> None:
    """NO_COLOR is without colours; a dumb terminal gets lines only, and no bars."""
    variables = {"NO_COLOR": {"NO_COLOR": "1"}, "TERM": {"TERM": "dumb"}}[name]
    with open_terminal(variables=variables) as terminal:
        url = terminal.wait_for(ADDRESS)[1]
        get(f"{url}/v2/library/absent/manifests/1")
        terminal.wait_for("failed: ")
        SlowPull(url, hub).finish()
        terminal.wait_for("3 MiB  downloaded")

    assert re.findall(r"\x1b\[[0-9;]+m", terminal.raw) == []
    if name == "TERM":
        assert "\x1b" not in terminal.raw


def test_ctrl_c_says_what_it_waits_for(open_terminal: Opener, hub: FakeUpstream) -> None:
    """It names the pull and the client, lets the pull finish, and exits with 0."""
    with open_terminal() as terminal:
        running = SlowPull(terminal.wait_for(ADDRESS)[1], hub)
        terminal.wait_for("large [0-9a-f]{12}")
        terminal.press(CTRL_C)
        said = " ".join(terminal.wait_for(r"Stopping: [\s\S]*?127\.0\.0\.1")[0].split())
        assert running.finish() == SIZE
        assert terminal.wait() == 0

    assert "1 pull" in said
    assert "docker.io/team/large to 127.0.0.1" in said
    assert "Ctrl-C again" in " ".join(terminal.text.split())
    assert terminal.lines("docker.io/team/large  3 MiB  downloaded")


def test_a_second_ctrl_c_stops_at_once(open_terminal: Opener, hub: FakeUpstream) -> None:
    """The pull that is running is cut off, and no process is left."""
    with open_terminal() as terminal:
        hub.rate = 1
        running = SlowPull(terminal.wait_for(ADDRESS)[1], hub)
        hub.rate = MIB // 8
        terminal.wait_for("large [0-9a-f]{12}")
        terminal.press(CTRL_C)
        terminal.wait_for("Stopping: ")
        terminal.press(CTRL_C)
        assert terminal.wait(10) == 0
        assert running.finish() < SIZE

    assert terminal.lines("docker.io/team/large  failed: the mirror stopped")


def test_without_a_pull_ctrl_c_waits_for_nothing(open_terminal: Opener) -> None:
    """It says that it stops, and is over soon."""
    with open_terminal() as terminal:
        terminal.wait_for("Each pull is one line")
        terminal.press(CTRL_C)
        assert terminal.wait(10) == 0

    assert "Stopping." in terminal.text
    assert "Traceback" not in terminal.text


def test_closing_the_terminal_ends_it(open_terminal: Opener) -> None:
    """The server ends with 0, and so do all of its processes."""
    with open_terminal() as terminal:
        terminal.wait_for("Each pull is one line")
        wait_until(lambda: len(list_children(terminal.process.pid)) == 4, "all processes")
        children = list_children(terminal.process.pid)
        terminal.close()
        assert terminal.wait() == 0
        wait_until(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], "end")


def test_without_a_terminal_the_log_is_json(open_terminal: Opener, tmp_path: Path) -> None:
    """If stdout is a pipe, every line is JSON, although stderr is a terminal."""
    read, write = os.pipe()
    with open_terminal(stdout=write) as terminal:
        os.close(write)
        started = json.loads(terminal.wait_for(r'\{.*"event":"serving".*\}')[0])
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
    os.close(read)

    assert started["data"] == str(tmp_path / "mirror" / "data")
    # The terminal shows the key that was pressed, maybe within the line that follows.
    lines = [line.removeprefix("^C") for line in terminal.lines('"event"')]
    events = [json.loads(line)["event"] for line in lines]
    assert events[-1] == "stopping"
    assert "docker pull" not in terminal.text


def test_a_taken_port_is_said_on_the_terminal(open_terminal: Opener, tmp_path: Path) -> None:
    """The second server names the process and the data folder of the first, and exits with 2."""
    with open_terminal() as first:
        address = first.wait_for(ADDRESS)[1].removeprefix("http://")
        with open_terminal("--listen", address, columns=300) as second:
            assert second.wait() == 2

    assert f"another Entrepôt: process {first.process.pid}" in second.text
    assert f"data folder {tmp_path / 'mirror' / 'data'}" in second.text
    assert f"kill {first.process.pid}" in second.text
