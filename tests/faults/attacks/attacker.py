"""One attack, in one process with little memory: `count` connections that misbehave in one way.

    python -m tests.faults.attacks.attacker KIND PORT COUNT TARGET [HEADER]

It goes on until a line comes on standard input, and opens a connection again that was closed. It
comes from 127.0.0.2, as an attacker has another address than honest clients; with a kind in
`FROM_MANY`, each connection comes from an address of its own. HEADER, such as `Authorization: ...`,
is sent with each request, if the attacker is somebody who may pull. It then prints how many
connections it opened, how many the mirror closed, and how many are open still.
"""

import json
import resource
import select
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.faults.attacks.kinds import FROM_MANY, KINDS, OF_USERS, TURN, Peer, Speak, Target

SOURCE = "127.0.0.2"
SMALL_WINDOW = 32 * 1024  # bytes that the kernel takes for a client that does not read
OPENED_AT_ONCE = 50  # connections opened in one round: 1,000 a second
AGAIN = 1.0  # seconds before a connection that was closed is opened again


@dataclass
class Attack:
    """All connections of an attack."""

    speak: Speak
    port: int
    count: int
    target: Target
    from_many: bool = False
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
        place = self.opened % self.count
        connection.bind((f"127.2.{place >> 8}.{place & 255}" if self.from_many else SOURCE, 0))
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
    kind, port, count, path, *headers = arguments
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    target = Target(path, "".join(f"{line}\r\n" for line in ("Host: a", *headers)))
    speak = {**KINDS, **OF_USERS}[kind]
    attack = Attack(speak, int(port), int(count), target, kind in FROM_MANY)
    attack.run()
    facts = {"opened": attack.opened, "closed": attack.closed, "open": len(attack.peers)}
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1:])
