"""Many clients in one cheap process: a plan on standard input, what was seen on standard output.

A plan is one line of JSON: `port`, `patience` (seconds), and `clients`, each a list of requests
`[path, range or "", expected status, expected length or -1]` that are sent one after the other over
one kept connection. `headers` are lines that each request has. With `tls`, the connections speak
TLS: it has the paths of an authority, and of a certificate with its key, which may be empty. Every
client receives into the same reused buffer. Status and length are checked always; with `hash` each
body is hashed, which costs as much as sending it.

The process says `ready`, and begins when it reads `go`. Times are `time.monotonic()`.
"""

import hashlib
import json
import resource
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Any

PIECE = 1 << 20
MAX_ERRORS = 20
# As docker does: without, docker-registry would convert a manifest to what nobody reads any more.
ACCEPT = (
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, */*"
)


class Client:
    """One connection and what is still to be asked over it."""

    def __init__(
        self,
        port: int,
        requests: Sequence[list[Any]],
        *,
        hashes: bool,
        headers: Sequence[str] = (),
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._port = port
        self._headers = headers
        self._trust = trust
        self._requests = list(reversed(requests))
        self._hashes = hashes
        self.failures: list[str] = []
        self.firsts: list[float] = []
        self.times: list[float] = []
        self.digests: list[str] = []
        self.received = 0
        self.connect()

    def connect(self) -> None:
        """Begin to connect; the selector says when that is done."""
        self.socket = socket.socket()
        if self._trust is not None:  # what a handshake takes is not measured
            self.socket.connect(("127.0.0.1", self._port))
            self.socket = self._trust.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.socket.setblocking(False)
        if self._trust is None:
            self.socket.connect_ex(("127.0.0.1", self._port))
        self._began = time.monotonic()

    @property
    def has_more(self) -> bool:
        """Whether bytes were received that the selector does not know of, as TLS has them."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def check_connected(self) -> None:
        """Raise OSError where the connection was refused."""
        refused = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if refused:
            raise OSError(refused, "cannot connect")

    def ask(self) -> bool:
        """Send the next request; False when there is none."""
        self._head = b""
        self._left = -1
        self._has_begun = False
        self._hasher = hashlib.sha256() if self._hashes else None
        if not self._requests:
            return False
        path, span, self._status, self._length = self._requests.pop()
        self.path = path
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"Accept: {ACCEPT}"]
        lines += self._headers
        if span:
            lines.append(f"Range: {span}")
        self.socket.send("\r\n".join([*lines, "", ""]).encode())
        return True

    def take(self, view: memoryview) -> bool:
        """Take what was received; True at the end of an answer."""
        now = time.monotonic()
        if self._left < 0:
            self._head += bytes(view)
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return False
            self.read_head(head)
            view = memoryview(rest)
        if view.nbytes and not self._has_begun:
            self._has_begun = True
            self.firsts.append(now - self._began)
        self._left -= view.nbytes
        self.received += view.nbytes
        if self._hasher is not None:
            self._hasher.update(view)
        if self._left < 0:
            raise ValueError("more bytes than announced")
        if self._left:
            return False
        self.times.append(now - self._began)
        if self._hasher is not None:
            self.digests.append(self._hasher.hexdigest())
        self._began = now
        return True

    def read_head(self, head: bytes) -> None:
        """Hold status and length against what is expected."""
        lines = head.decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        status = int(lines[0].split()[1])
        if status != self._status:
            raise ValueError(f"status {status} where {self._status} was expected")
        if "content-length" not in fields:
            raise ValueError("no Content-Length")
        self._left = int(fields["content-length"])
        if self._length not in (-1, self._left):
            raise ValueError(f"{self._left} bytes announced where {self._length} were expected")


class ManyClients:
    """All clients of this process."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._buffer = bytearray(PIECE)
        self._view = memoryview(self._buffer)
        self._selector = selectors.DefaultSelector()
        self.clients: list[Client] = []

    def run(self) -> dict[str, Any]:
        """Pull until everyone has everything, or has failed, or patience is over."""
        began = time.monotonic()
        tls, headers = self._plan.get("tls"), self._plan.get("headers", ())
        trust = None if tls is None else make_trust(*tls)
        hashes = self._plan.get("hash", False)
        for requests in self._plan["clients"]:
            client = Client(
                self._plan["port"], requests, hashes=hashes, headers=headers, trust=trust
            )
            self.clients.append(client)
            self._selector.register(client.socket, selectors.EVENT_WRITE, client)
        deadline = began + self._plan["patience"]
        while self._selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, events in self._selector.select(left):
                self._step(key.data, events)
        for key in list(self._selector.get_map().values()):
            self._drop(key.data, f"not done after {self._plan['patience']} s")
        return self._sum_up(began)

    def _step(self, client: Client, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                client.check_connected()
                self._go_on(client)
                self._selector.modify(client.socket, selectors.EVENT_READ, client)
                return
            self._receive(client)
            while client.has_more:
                self._receive(client)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except (OSError, ValueError) as error:
            self._drop(client, str(error))

    def _receive(self, client: Client) -> None:
        count = client.socket.recv_into(self._buffer)
        if not count:
            raise ConnectionResetError("the connection was closed")
        if client.take(self._view[:count]):
            self._go_on(client)

    def _go_on(self, client: Client) -> None:
        if not client.ask():
            self._selector.unregister(client.socket)
            client.socket.close()

    def _drop(self, client: Client, why: str) -> None:
        client.failures.append(f"{why} ({getattr(client, 'path', '')})")
        self._selector.unregister(client.socket)
        client.socket.close()

    def _sum_up(self, began: float) -> dict[str, Any]:
        failures = [each for client in self.clients for each in client.failures]
        return {
            "began": began,
            "ended": time.monotonic(),
            "received": sum(client.received for client in self.clients),
            "firsts": [client.firsts[0] for client in self.clients if client.firsts],
            "times": [each for client in self.clients for each in client.times],
            "digests": sorted({each for client in self.clients for each in client.digests}),
            "failed": len(failures),
            "failures": failures[:MAX_ERRORS],
        }


def make_trust(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """Return the TLS of a client that trusts an authority, and may have a certificate."""
    trust = ssl.create_default_context(cafile=authority)
    if certificate:
        trust.load_cert_chain(certificate, key)
    return trust


def run() -> None:
    """Read a plan, print `ready`, wait for `go`, pull, and print the results."""
    plan = json.loads(sys.stdin.readline())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = ManyClients(plan)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(json.dumps(clients.run()) + "\n")


if __name__ == "__main__":
    run()
