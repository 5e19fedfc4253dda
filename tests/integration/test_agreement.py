"""All places tell the same numbers after a trace of pulls, with processes killed in between."""

import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from urllib.parse import urlsplit

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Image, Lie, Status
from tests.harness import told_numbers
from tests.harness.console_browser import ConsoleBrowser
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children
from tests.harness.told_numbers import Numbers
from tests.integration.images import make_layer, read_stored
from tests.integration.wire import PATIENCE, fetch, wait_until

MIB = 1 << 20
SETTINGS = {"tags": {"fresh_for": "0s", "wait_for": "2s"}, "access": {"records": True}}


@pytest.fixture
def other() -> Iterator[FakeUpstream]:
    """A second upstream."""
    with FakeUpstream() as upstream:
        yield upstream


class Client:
    """Pulls through a mirror, and counts what it gets by what each answer says of its origin."""

    def __init__(self, mirror: MirrorProcess) -> None:
        self._address = urlsplit(mirror.url).netloc
        self.requests: Counter[str] = Counter()
        self.received: Counter[str] = Counter()

    def ask(self, path: str, method: str = "GET", **headers: str) -> str:
        """Send a request, and return the origin of what came."""
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)
        try:
            connection.request(method, f"/v2/{path}", headers=headers)
            answer = connection.getresponse()
            origin = answer.headers["X-Entrepot-Origin"] or ""
            try:
                size = len(answer.read())
            except http.client.IncompleteRead as error:
                size = len(error.partial)
        finally:
            connection.close()
        self.requests[origin] += 1
        self.received[origin] += size
        return origin

    def count_content(self) -> int:
        """Return the bytes of the answers with content."""
        return sum(each for origin, each in self.received.items() if origin)

    def pull(self, image: Image, registry: str = "docker.io") -> None:
        """Pull an image as a client does that has nothing of it."""
        self.ask(f"{image.repository}/manifests/{image.tag}?ns={registry}", "HEAD")
        self.ask(f"{image.repository}/manifests/{image.digest}?ns={registry}")
        for digest in image.blobs:
            self.ask(f"{image.repository}/blobs/{digest}?ns={registry}")


def test_all_places_agree_to_the_byte(
    make_mirror: MirrorMaker, hub: FakeUpstream, other: FakeUpstream
) -> None:
    """Metrics, pages, their JSON and commands: each number is the same, and the clients' own."""
    mirror = make_mirror(SETTINGS, upstreams={"docker.io": hub.url, "ghcr.io": other.url})
    client, console = Client(mirror), ConsoleBrowser(mirror)
    wait_until(lambda: len(list_children(mirror.pid)) == 3, "all processes run")
    background = list_children(mirror.pid)[0]
    app = hub.add_image("team/app", "1", [make_layer(1, 300_000), make_layer(2, 70_000)])
    tool = other.add_image("org/tool", "v2", [make_layer(3, 200_000)])
    replay_first(client, hub, app, tool)
    wait_until(lambda: count_recorded(mirror) == client.count_content(), "all is recorded")
    kill(mirror, list_children(mirror.pid)[-1], console)
    lying = replay_second(client, hub, other, app, tool)
    wait_until(lambda: is_quiet(mirror, client), "all is counted")
    kill(mirror, background, console)  # the next one measures at once what is stored
    stored = len(read_stored(mirror.data))
    wait_until(lambda: told_numbers.read_metrics(console).blobs == stored, "it is measured")
    wait_until(lambda: console.read("/")["blobs"] == stored, "the page has counted too")

    told = read_agreed(mirror, console)

    assert told.requests == {key: each for key, each in client.requests.items() if key}
    assert told.sent is not None
    lost = {key: each - client.received[key] for key, each in told.sent.items()}
    # What the mirror has sent of the wrong blob before it cut the connection may not arrive.
    assert 0 <= lost.pop("miss") <= lying
    assert set(lost.values()) == {0}
    assert told.images == 2
    assert told.used == sum(read_stored(mirror.data).values())
    assert told_numbers.list_missing_texts(console, told) == []
    outcomes = told.outcomes or {}
    assert outcomes["docker.io", hub.url].keys() >= {"ok", "absent"}
    assert outcomes["ghcr.io", other.url].keys() >= {"ok", "unreachable"}
    assert count_recorded(mirror) == sum(told.sent.values())


def replay_first(client: Client, hub: FakeUpstream, app: Image, tool: Image) -> None:
    """Misses, hits, ranges, a blob for four clients at once, what does not exist."""
    client.pull(app)
    client.pull(app)
    client.pull(tool, "ghcr.io")
    layer = f"{app.repository}/blobs/{app.layers[0]}"
    client.ask(layer, Range="bytes=100-9999")
    client.ask(layer, Range="bytes=-500")
    client.ask(layer, "HEAD")
    client.ask(f"{app.repository}/manifests/absent")
    shared = hub.add_big_blob(2 * MIB, repository="team/large")
    hub.rate = MIB
    with ThreadPoolExecutor(4) as pool:
        origins = list(pool.map(client.ask, [f"team/large/blobs/{shared}"] * 4))
    hub.rate = None
    assert {"miss", "joined"} <= set(origins)


def replay_second(
    client: Client, hub: FakeUpstream, other: FakeUpstream, app: Image, tool: Image
) -> int:
    """After the kill: hits, a blob with a wrong digest, an upstream that fails; return its size."""
    client.pull(app)
    client.pull(tool, "ghcr.io")
    lying = hub.add_big_blob(MIB, repository="team/lying")
    hub.faults.add(Fault("cdn", Lie(1000), contains=lying, times=1))
    client.ask(f"team/lying/blobs/{lying}")
    other.faults.add(Fault("any", Status(503), times=None))
    assert client.ask(f"{tool.repository}/manifests/{tool.tag}?ns=ghcr.io") == "stale"
    return MIB


def kill(mirror: MirrorProcess, victim: int, console: ConsoleBrowser) -> None:
    """Kill a process of the mirror, and wait until another one has taken its place."""
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in list_children(mirror.pid), "it is reaped")
    wait_until(lambda: len(list_children(mirror.pid)) == 3, "another one is started")

    def is_ready() -> bool:
        try:
            metrics = fetch(f"{mirror.console}/metrics").body.decode()
        except OSError:
            return False
        return "entrepot_workers 2.0" in metrics

    wait_until(is_ready, "all answer")


def count_recorded(mirror: MirrorProcess) -> int:
    """Return the bytes of the pulls that `pulls ls` tells, of those that were served."""
    pulls = json.loads(mirror.run("pulls", "ls", "--json", "--limit", "1000").stdout)["pulls"]
    served = [each for each in pulls if each["outcome"] == "served"]
    return sum(each["manifest_bytes"] + each["blob_bytes"] for each in served)


def is_quiet(mirror: MirrorProcess, client: Client) -> bool:
    """Whether all that the client asked for is counted."""
    told = told_numbers.read_metrics(ConsoleBrowser(mirror))
    return told.requests == {key: each for key, each in client.requests.items() if key}


def read_agreed(mirror: MirrorProcess, console: ConsoleBrowser) -> Numbers:
    """Return what the metrics tell; all other places have to tell the same.

    Processes count what they ask upstreams every two seconds. If the metrics have changed while
    the places were asked, they are asked again.
    """
    found: list[Numbers] = []

    def is_steady() -> bool:
        before = told_numbers.read_metrics(console)
        found[:] = [
            before,
            told_numbers.read_console(console),
            told_numbers.read_status(mirror),
            told_numbers.read_commands(mirror),
            told_numbers.read_top(mirror),
        ]
        return before == told_numbers.read_metrics(console)

    wait_until(is_steady, "nothing changes")
    for field in fields(Numbers):
        told = [getattr(each, field.name) for each in found]
        known = [each for each in told if each is not None]
        assert len(known) >= 3, field.name
        assert all(each == known[0] for each in known), (field.name, told)
    return found[0]
