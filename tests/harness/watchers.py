"""Browsers that look at the console: connections that read what changes, as `EventSource` does."""

import selectors
import socket
import threading
from typing import Self
from urllib.parse import urlsplit

from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess

PIECE = 65_536  # bytes that are read at once
_EVENT = b"data: "


class Watchers:
    """`count` browsers that watch the console of a mirror, until the end of the `with` block."""

    def __init__(self, mirror: MirrorProcess, count: int) -> None:
        self._address = urlsplit(mirror.console)
        self._count = count
        self._selector = selectors.DefaultSelector()
        self._is_over = threading.Event()
        self._reading = threading.Thread(target=self._read)
        self.events = [0] * count  # that each of them has got

    def __enter__(self) -> Self:
        head = f"GET /live HTTP/1.1\r\nHost: {self._address.netloc}\r\n\r\n".encode()
        for number in range(self._count):
            connection = socket.create_connection(
                (self._address.hostname or "", self._address.port or 0), timeout=30
            )
            connection.sendall(head)
            self._selector.register(connection, selectors.EVENT_READ, number)
        self._reading.start()
        await_truth(lambda: all(self.events))
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._reading.join()
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _read(self) -> None:
        while not self._is_over.is_set():
            for key, _ in self._selector.select(timeout=0.1):
                piece = key.fileobj.recv(PIECE)  # type: ignore[union-attr]
                if not piece:
                    self._selector.unregister(key.fileobj)
                self.events[key.data] += piece.count(_EVENT)
