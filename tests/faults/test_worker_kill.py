"""SIGKILL of one worker of two amid many pulls: the clients of the other one feel nothing."""

import hashlib
import http.client
import os
import random
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.faults.load import pull_blob
from tests.harness.large_layer import KIB, MIB
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import count_served
from tests.integration.wire import PATIENCE, fetch, wait_until

SEED = 17
CLIENTS = 20
BLOBS = 10  # each is pulled by two clients, so that workers share downloads too
SIZE = 2 * MIB


@dataclass
class Client:
    """One pull of a slow blob on a connection of its own."""

    mirror: MirrorProcess
    image: Image
    port: int = 0
    received: int = 0
    is_right: bool = False
    content: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def digest(self) -> str:
        return self.image.layers[0]

    def pull(self) -> None:
        """Receive until the end, or until the connection breaks."""
        host = urlsplit(self.mirror.url).netloc
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        try:
            connection.connect()
            self.port = connection.sock.getsockname()[1]
            connection.request("GET", f"/v2/{self.image.repository}/blobs/{self.digest}")
            response = connection.getresponse()
            while piece := response.read1(64 * KIB):
                self.content += piece
                self.received += len(piece)
            found = hashlib.sha256(self.content).hexdigest()
            self.is_right = self.digest == f"sha256:{found}"
        except (ConnectionError, http.client.IncompleteRead):
            pass
        finally:
            connection.close()


def find_server(mirror: MirrorProcess, client: Client) -> int:
    """The worker that a client is connected to."""
    (worker,) = count_served(mirror.pid, mirror.url, {client.port})
    return worker


def publish_slow(hub: FakeUpstream, mirror: MirrorProcess) -> list[Image]:
    """Images of one layer, whose manifests the mirror knows."""
    chance = random.Random(SEED)
    images = [
        hub.add_image(f"slow/i{number}", "1", [chance.randbytes(SIZE)]) for number in range(BLOBS)
    ]
    for image in images:
        assert fetch(f"{mirror.url}/v2/{image.repository}/manifests/1").body == image.manifest
    return images


def kill_one(mirror: MirrorProcess, clients: Sequence[Client]) -> list[Client]:
    """Kill a worker by chance; the clients that it served."""
    servers = {client.port: find_server(mirror, client) for client in clients}
    victim = random.Random(SEED).choice(sorted(set(servers.values())))
    served = [client for client in clients if servers[client.port] == victim]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: mirror.events("a process died and is replaced"), "another worker")
    return served


def test_only_the_clients_of_a_killed_worker_notice(
    hub: FakeUpstream, make_mirror: MirrorMaker, note: Callable[[str], None]
) -> None:
    """Just its connections break, the others end right, and who was cut off asks again and has it.

    The upstream stands still around the kill, so that no pull ends just before it.
    """
    mirror = make_mirror({"storage": {"audit_rate": 0}})
    hub.rate = 2 * MIB
    images = publish_slow(hub, mirror)
    clients = [Client(mirror, images[number % BLOBS]) for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        pulls = [pool.submit(client.pull) for client in clients]
        wait_until(lambda: all(client.received for client in clients), "bytes for all")
        hub.hang()
        served = kill_one(mirror, clients)
        wait_until(lambda: sum(each.done() for each in pulls) == len(served), "the broken ones")
        cut_off = [client for client, each in zip(clients, pulls, strict=True) if each.done()]
        hub.unhang()
        hub.rate = None
        for each in pulls:
            each.result()
    again = [pull_blob(mirror, client.image, client.digest) for client in cut_off]

    note(f"seed {SEED}: {len(served)} of {CLIENTS} were cut off, the others had all bytes")
    assert 0 < len(served) < CLIENTS
    assert cut_off == served
    assert [client.is_right for client in clients] == [each not in served for each in clients]
    assert [answer.status for answer in again] == [200] * len(served)
    for image in images:
        answer = pull_blob(mirror, image, image.layers[0])
        assert (answer.status, answer.origin) == (200, "hit")
