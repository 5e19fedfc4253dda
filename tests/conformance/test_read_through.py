"""The suite pushes to an upstream and reads through its mirror: every kind of content."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import suite
from tests.conformance.two_doors import TwoDoors

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("conformance")]

ENTREPOT = Path(sys.executable).with_name("entrepot")
CONFIGURATION = """
[server]
listen = "{listen}"
console = "{console}"
workers = 2
[storage]
path = "{folder}/data"
reserve = "0B"
[tags]
fresh_for = "0s"
missing_for = "0s"
[upstreams."docker.io"]
endpoints = ["{upstream}"]
default = true
"""

# Ranges within, to the end of, from the end of, and beyond a blob.
RANGES = {
    f"sha256 blobs/range requests/range {span}"
    for span in ("500-1499", "500-", "-500", "2000-5000")
}
# Content of every kind, each read by tag and by digest.
KINDS = ("image", "large-manifest", "index", "nested-index", "empty-index", "artifact", "no-layers")
PULLS = {
    f"{kind}/{way}/manifest-{by}"
    for kind in KINDS
    for way, by in (
        ("pull", "by-tag"),
        ("pull", "by-digest"),
        ("head", "head-by-tag"),
        ("head", "head-by-digest"),
    )
}


@pytest.fixture
def reading_mirror(registry: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a mirror of the registry, one that asks for tags every time."""
    listen, console = (f"127.0.0.1:{port}" for port in free_ports(2))
    configuration = tmp_path / "entrepot.toml"
    configuration.write_text(
        CONFIGURATION.format(listen=listen, console=console, folder=tmp_path, upstream=registry)
    )
    with (tmp_path / "mirror.log").open("wb") as log:
        process = subprocess.Popen(
            [ENTREPOT, "serve", "--config", configuration], stdout=log, stderr=log
        )
    try:
        wait_until_answering(f"http://{listen}/v2/", process, tmp_path / "mirror.log")
        yield f"http://{listen}"
    finally:
        process.terminate()
        process.wait(timeout=30)


async def test_the_mirror_breaks_nothing_that_its_upstream_does(
    registry: str, reading_mirror: str, tmp_path: Path, say
) -> None:
    """Whatever fails through the mirror also fails without it; and the pulls did run."""
    async with TwoDoors(reads=registry, writes=registry) as without:
        known = await asyncio.to_thread(suite.run_pushing, without.url, tmp_path)
    say(f"upstream alone: {known.counts()}")
    async with TwoDoors(reads=reading_mirror, writes=registry) as doors:
        report = await asyncio.to_thread(suite.run_pushing, doors.url, tmp_path)
    say(f"read through the mirror: {report.counts()}")
    excused = known.names("fail")
    assert [one for one in report.failures() if one.name not in excused] == []
    missed = (PULLS | RANGES) - set(report.names("pass"))
    assert not missed, f"did not pass: {sorted(missed)}"


def wait_until_answering(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a 200, for half a minute at most."""
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.URLError:
            stopped = process.poll() is not None
            assert not stopped, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)
        else:
            return


def free_ports(number: int) -> list[int]:
    """Ports that nothing listens on; held together so that they differ."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
