"""Many clients in one process, which takes so little CPU time that most is left for the mirror.

    clients = ManyClients(f"{mirror.url}/v2/library/big/blobs/{digest}", expected, count=50)
    pulls = clients.join()

Every received byte is compared with the file `expected` by `memcmp`: hashing 50 bodies would take
longer than sending them. The connections stay open until `leave`, so that a test can find out which
worker serves them. Times are `time.monotonic()`, which all processes of a machine share.
"""

import ctypes
import json
import mmap
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

PIECE = 1 << 17  # bytes taken from one socket at a time
PATIENCE = 100.0  # seconds that a client waits for its last byte


@dataclass
class Pull:
    """The result of one client; `is_right` means that it got exactly the right bytes."""

    port: int
    started: float
    status: int = 0
    origin: str = ""
    length: int = -1
    received: int = 0
    first_byte: float = 0.0
    last_byte: float = 0.0
    is_right: bool = False


class ManyClients:
    """`count` clients that start at once, or one every `delay` seconds."""

    def __init__(self, url: str, expected: Path, count: int = 1, delay: float = 0.0) -> None:
        arguments = [url, str(expected), str(count), str(delay)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.many_clients", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def join(self) -> list[Pull]:
        """Wait until every client has its body, or was cut off."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the clients ended with {self._process.wait()}"
        return [Pull(**each) for each in json.loads(line)]

    def leave(self) -> None:
        """Close the connections."""
        self._process.communicate()

    def kill(self) -> None:
        """Kill the process of the clients, so that all connections break."""
        self._process.kill()
        self.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class _ExpectedBytes:
    """The right bytes, in memory."""

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        # Kept: the address is good only as long as this object is.
        self._first = ctypes.c_char.from_buffer(memory)
        self._address = ctypes.addressof(self._first)
        self._memcmp = ctypes.CDLL(None).memcmp
        self._memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

    def equals(self, offset: int, address: int, length: int) -> bool:
        """Whether the `length` bytes at `address` are the right bytes at `offset`."""
        if offset + length > self.size:
            return False
        return bool(self._memcmp(self._address + offset, address, length) == 0)


@dataclass
class _Client:
    connection: socket.socket
    pull: Pull
    head: bytes = b""
    differs: bool = field(default=False)

    def take_head(self, data: bytes) -> bytes:
        """Read the headers from `data`; return the rest, which belongs to the body."""
        head, end, rest = (self.head + data).partition(b"\r\n\r\n")
        if not end:
            self.head = head
            return b""
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        self.pull.status = int(lines[0].split()[1])
        self.pull.origin = fields.get("x-entrepot-origin", "")
        self.pull.length = int(fields["content-length"])
        return rest


class _Loop:
    """Receives the bodies of all clients in one loop."""

    def __init__(self, expected: _ExpectedBytes) -> None:
        self._expected = expected
        self._buffer = bytearray(PIECE)
        self._first = ctypes.c_char.from_buffer(self._buffer)
        self._address = ctypes.addressof(self._first)
        self._selector = selectors.DefaultSelector()
        self._pulls: list[Pull] = []
        self._kept: list[socket.socket] = []

    def connect(self, url: str) -> None:
        """Start another client."""
        parts = urlsplit(url)
        connection = socket.create_connection((parts.hostname, parts.port))
        target = url.removeprefix(f"{parts.scheme}://{parts.netloc}")
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        connection.setblocking(False)
        pull = Pull(connection.getsockname()[1], time.monotonic())
        self._pulls.append(pull)
        self._selector.register(connection, selectors.EVENT_READ, _Client(connection, pull))

    def run(self, until: float | None = None) -> list[Pull]:
        """Receive until all clients have ended, or until a time."""
        deadline = time.monotonic() + PATIENCE if until is None else until
        while (left := deadline - time.monotonic()) > 0:
            if until is None and not self._selector.get_map():
                break
            for key, _ in self._selector.select(left):
                self._receive(key.data)
        return self._pulls

    def _receive(self, client: _Client) -> None:
        pull = client.pull
        try:
            count = client.connection.recv_into(self._buffer)
        except ConnectionResetError:
            count = 0
        if count and pull.length < 0:
            rest = client.take_head(bytes(self._buffer[:count]))
            self._buffer[: len(rest)] = rest
            count = len(rest)
            if not count:
                return
        if count:
            now = time.monotonic()
            pull.first_byte = pull.first_byte or now
            pull.last_byte = now
            if not self._expected.equals(pull.received, self._address, count):
                client.differs = True
            pull.received += count
        if not count or pull.received >= pull.length:
            pull.is_right = pull.received == self._expected.size and not client.differs
            self._selector.unregister(client.connection)
            self._kept.append(client.connection)


def run(arguments: Sequence[str]) -> None:
    """Pull, print what was seen as one line of JSON, and stay until standard input ends."""
    url, expected, count, delay = arguments
    loop = _Loop(_ExpectedBytes(Path(expected)))
    for _ in range(int(count)):
        loop.connect(url)
        if float(delay):
            loop.run(time.monotonic() + float(delay))
    seen: list[dict[str, Any]] = [asdict(pull) for pull in loop.run()]
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    run(sys.argv[1:])
