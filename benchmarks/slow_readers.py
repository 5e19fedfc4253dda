"""Slow readers in one process: port, path, count and bytes a second are its arguments.

It says `ready` when all of them have had bytes, and reads on until a line comes on standard input;
then it prints how many bytes the slowest has read since.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Sequence

TURN = 0.1  # seconds between two sips
WINDOW = 64 * 1024  # bytes that the kernel may take on a slow reader's behalf


def run(arguments: Sequence[str]) -> None:
    """Open all connections, then sip."""
    port, path, count, rate = int(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3])
    buffer = bytearray(max(1, int(rate * TURN)))
    readers = [_open(port, path) for _ in range(count)]
    for reader in readers:
        reader.recv_into(buffer)
        reader.setblocking(False)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    had = [0] * count
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        due += TURN
        for number, reader in enumerate(readers):
            try:
                had[number] += reader.recv_into(buffer)
            except BlockingIOError:
                continue
    sys.stdout.write(json.dumps({"slowest": min(had)}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for reader in readers:
        reader.close()


def _open(port: int, path: str) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    reader.settimeout(30)
    reader.connect(("127.0.0.1", port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return reader


if __name__ == "__main__":
    run(sys.argv[1:])
