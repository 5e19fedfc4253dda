"""One attack, in one process with little memory: `count` connections that misbehave in one way.

    python -m tests.faults.attacks.attacker KIND PORT COUNT TARGET

It goes on until a line comes on standard input, and opens a connection again that was closed. It
comes from 127.0.0.2, as an attacker has another address than honest clients. It then prints how
many connections it opened, how many the mirror closed, and how many are open still.
"""

import hashlib
import json
import random
import resource
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

SOURCE = "127.0.0.2"
SMALL_WINDOW = 32 * 1024  # bytes that the kernel takes for a client that does not read
TURN = 0.05  # seconds between two rounds
OPENED_AT_ONCE = 50  # connections opened in one round: 1,000 a second
AGAIN = 1.0  # seconds before a connection that was closed is opened again
CHUNK = b"8000\r\n" + bytes(0x8000) + b"\r\n"


@dataclass
class Peer:
    """One connection; `said` counts its rounds, `rest` is what the kernel has not taken yet."""

    connection: socket.socket
    said: int = 0
    rest: bytes = b""
    number: int = 0


Speak = Callable[[Peer, str], bytes]


def dribble(peer: Peer, target: str) -> bytes:
    """A head that never ends: one byte a second."""
    if peer.said == 0:
        return f"GET {target} HTTP/1.1\r\nHost: a\r\nX-Slow: ".encode()
    return b"a" if peer.said % int(1 / TURN) == 0 else b""


def leave_unread(peer: Peer, target: str) -> bytes:
    """One request for a large blob, of which nothing is read."""
    return f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode() if peer.said == 0 else b""


def say_nothing(_: Peer, __: str) -> bytes:
    """A connection without a byte."""
    return b""


@cache
def make_greeting() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def greet_only(peer: Peer, _: str) -> bytes:
    """The first message of a TLS handshake, and no other."""
    return b"" if peer.said else make_greeting()


def is_answered(peer: Peer) -> bool:
    """Whether an answer came since the last request, or there was none yet."""
    with suppress(BlockingIOError):
        while data := peer.connection.recv(65536):
            peer.number = 0 if data else peer.number
    return not peer.number


def ask_for_names(peer: Peer, _: str) -> bytes:
    """A name that nobody asked for yet, as soon as the last answer came."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    name = f"{peer.connection.fileno():x}{time.monotonic_ns():x}"
    return f"GET /v2/library/{name}/manifests/1 HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def ask_for_digests(peer: Peer, target: str) -> bytes:
    """Tags, digests, blobs, referrers and lists that do not exist, of a repository that does."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    word = f"{peer.connection.fileno():x}{time.monotonic_ns():x}"
    digest = f"sha256:{hashlib.sha256(word.encode()).hexdigest()}"
    repository = target.partition("/blobs/")[0]
    paths = (
        f"{repository}/manifests/{word}",
        f"{repository}/manifests/{digest}",
        f"{repository}/blobs/{digest}",
        f"{repository}/referrers/{digest}",
        f"/v2/library/{word}/tags/list",
        f"/v2/library/{word}/manifests/1?ns={word}.example",
    )
    return f"GET {random.choice(paths)} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def ask_for_lists(peer: Peer, target: str) -> bytes:
    """Lists that the mirror has, as soon as the last answer came."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    repository = target.partition("/blobs/")[0]
    path = random.choice(("/v2/_catalog", f"{repository}/tags/list"))
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def ask_for_ranges(peer: Peer, target: str) -> bytes:
    """900 ranges in one request, and then 60, of which nothing is skipped."""
    with suppress(BlockingIOError):
        while peer.connection.recv(1 << 20):
            pass
    if peer.said % 10:
        return b""
    count = 900 if peer.said % 20 else 60
    ranges = ",".join(f"{3 * number}-{3 * number}" for number in range(count))
    return f"GET {target} HTTP/1.1\r\nHost: a\r\nRange: bytes={ranges}\r\n\r\n".encode()


def pipeline(peer: Peer, target: str) -> bytes:
    """Requests without end, of whose answers nothing is read."""
    return f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 100 if not peer.rest else b""


def send_body(peer: Peer, target: str) -> bytes:
    """A request with a body without end."""
    if peer.said == 0:
        return f"GET {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return CHUNK if not peer.rest else b""


KINDS: dict[str, Speak] = {
    "dribbling heads": dribble,
    "non-readers": leave_unread,
    "idle": say_nothing,
    "handshakes left open": greet_only,
    "random names": ask_for_names,
    "random digests": ask_for_digests,
    "lists": ask_for_lists,
    "many ranges": ask_for_ranges,
    "pipelining unread": pipeline,
    "endless bodies": send_body,
}


@dataclass
class Attack:
    """All connections of an attack."""

    speak: Speak
    port: int
    count: int
    target: str
    peers: dict[int, Peer] = field(default_factory=dict)
    again: list[float] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    def run(self) -> None:
        """Attack until a line comes on standard input."""
        watched = select.epoll()
        due = time.monotonic()
        waiting = self.count
        while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            due = max(due + TURN, time.monotonic())
            now = time.monotonic()
            waiting += sum(moment <= now for moment in self.again)
            self.again = [moment for moment in self.again if moment > now]
            for _ in range(min(waiting, OPENED_AT_ONCE)):
                waiting -= 1
                self.open(watched)
            for number, _ in watched.poll(0, self.count):
                self.drop(number)
            for number, peer in list(self.peers.items()):
                self.say(number, peer)

    def open(self, watched: select.epoll) -> None:
        """Open one connection."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
        connection.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        connection.bind((SOURCE, 0))
        connection.setblocking(False)
        with suppress(BlockingIOError):
            connection.connect(("127.0.0.1", self.port))
        watched.register(
            connection, select.EPOLLRDHUP | select.EPOLLERR | select.EPOLLHUP | select.EPOLLET
        )
        self.peers[connection.fileno()] = Peer(connection)
        self.opened += 1

    def say(self, number: int, peer: Peer) -> None:
        """Send what the attack says next."""
        try:
            data = peer.rest + self.speak(peer, self.target)
            peer.rest = data[peer.connection.send(data) :] if data else b""
            peer.said += 1
        except BlockingIOError:
            peer.rest = data
        except OSError:
            self.drop(number)

    def drop(self, number: int) -> None:
        """Forget a connection that the mirror has closed; it is opened again later."""
        peer = self.peers.pop(number, None)
        if peer is not None:
            peer.connection.close()
            self.closed += 1
            self.again.append(time.monotonic() + AGAIN)


def main(arguments: Sequence[str]) -> None:
    kind, port, count, target = arguments
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    attack = Attack(KINDS[kind], int(port), int(count), target)
    attack.run()
    facts = {"opened": attack.opened, "closed": attack.closed, "open": len(attack.peers)}
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1:])
