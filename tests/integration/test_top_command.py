"""`entrepot top`: what a mirror does, on a terminal and without one."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import ConsoleBrowser
from tests.harness.mirror import MirrorProcess
from tests.harness.terminal import CTRL_C, TerminalProcess
from tests.integration.images import run_json
from tests.integration.test_console import MIB, open_blob
from tests.integration.wire import wait_until

LEFT = "\x1b[?1049l"  # what ends the screen of a program on a terminal


@pytest.fixture
def busy(make_mirror: MirrorMaker, hub: FakeUpstream) -> Iterator[MirrorProcess]:
    """A mirror of which three clients get a blob while it is downloaded."""
    # With several connections, bytes are in the file only when all those before them are.
    slow = {"docker.io": {"endpoints": [hub.url], "connections": 1}}
    mirror = make_mirror(upstreams=slow, workers=2)
    blob = hub.add_big_blob(64 * MIB, repository="team/app")
    hub.rate = MIB
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(open_blob(f"{mirror.url}/v2/team/app/blobs/{blob}"))
        wait_until(lambda: find_download(mirror).get("clients") == 3, "all of them wait")
        yield mirror
        hub.rate = None


def find_download(mirror: MirrorProcess) -> dict[str, Any]:
    """Return the first download on the first page of the console."""
    found: list[dict[str, Any]] = ConsoleBrowser(mirror).read("/")["downloads"]
    return found[0] if found else {}


def test_a_program_gets_the_facts(busy: MirrorProcess, hub: FakeUpstream) -> None:
    """Status, downloads with rate and waiting clients, and what the processes use."""
    top = run_json(busy, "top")
    (download,) = top["downloads"]

    assert top["status"]["running"] is True
    assert (download["repository"], download["endpoint"]) == ("docker.io/team/app", hub.url)
    assert (download["expected"], download["clients"]) == (64 * MIB, 3)
    assert MIB // 4 < download["rate"] < 4 * MIB
    assert top["fetched_rate"] > MIB // 4
    assert [each["process"] for each in top["processes"]] == ["background", "worker 0", "worker 1"]
    assert all(each["memory"] > MIB for each in top["processes"])
    assert run_json(busy, "status")["well"] is True


def test_without_a_terminal_it_is_printed_once(busy: MirrorProcess, hub: FakeUpstream) -> None:
    """With and without --once, in lines of at most 80 columns."""
    for arguments in ([], ["--once"]):
        result = busy.run("top", *arguments)
        lines = result.stdout.splitlines()

        assert result.returncode == 0, result.stderr
        assert lines[0] == "All is well."
        assert max(map(len, lines)) <= 80
        assert any(line.startswith("docker.io/team/app ") for line in lines)
        assert lines[-1].endswith(" 3")
        assert "\x1b" not in result.stdout


@pytest.mark.parametrize("key", [b"q", b"Q", CTRL_C], ids=["q", "Q", "Ctrl-C"])
def test_on_a_terminal_it_goes_on_until_a_key_is_pressed(busy: MirrorProcess, key: bytes) -> None:
    """The bytes that are here change; at the end, the terminal is as before."""
    with TerminalProcess("top", "--config", str(busy.config)) as terminal:
        terminal.wait_for(r"docker\.io/team/app")
        first = terminal.wait_for(r"([\d.]+) MiB of 64 MiB")[1]
        wait_until(lambda: len(terminal.lines("of 64 MiB")) >= 3, "it is drawn again")
        terminal.press(key)

        assert terminal.wait() == 0
        wait_until(lambda: LEFT in terminal.raw, "the former screen is shown again")
        last = terminal.lines("of 64 MiB")[-1]
        assert f" {first} MiB of" not in last
        assert "q quits" in terminal.text


def test_once_on_a_terminal(busy: MirrorProcess) -> None:
    """It is printed as other reports are, and stays on the terminal."""
    with TerminalProcess("top", "--once", "--config", str(busy.config)) as terminal:
        assert terminal.wait() == 0
        assert LEFT not in terminal.raw
        assert "All is well." in terminal.text


def test_a_mirror_that_does_not_run(make_mirror: MirrorMaker) -> None:
    """It is told in the first line, and there are no processes."""
    mirror = make_mirror(workers=1)
    mirror.stop()
    result = mirror.run("top")

    assert result.returncode == 0
    assert result.stdout.startswith("No server is running on this data folder.")
    assert "processes  none" in result.stdout
    assert run_json(mirror, "top")["sent_rate"] is None
