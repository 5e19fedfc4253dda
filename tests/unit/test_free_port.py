"""Laws of the ports of the tests: a server that is started again gets the port that it had."""

import socket
from contextlib import closing

import pytest

from tests.harness.free_port import keep_port


class Owner:
    """Something that has a port."""


def bind(port: int, *, listens: bool = True) -> socket.socket:
    """Take a port as a server does."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    if listens:
        taken.listen()
    return taken


def test_a_kept_port_is_for_its_owner_only() -> None:
    """A server can listen on it, twice in turn; the kernel gives it to nobody else meanwhile."""
    owner = Owner()
    port = keep_port(owner)

    for _ in range(2):
        bind(port).close()
        with closing(socket.socket()) as client, pytest.raises(ConnectionRefusedError):
            client.connect(("127.0.0.1", port))
    others = [bind(0, listens=False) for _ in range(2000)]
    given = {each.getsockname()[1] for each in others}
    for each in others:
        each.close()

    assert port not in given


def test_a_port_is_free_when_its_owner_is_gone() -> None:
    """Another program, which shares ports with nobody, can bind it then."""
    owner = Owner()
    port = keep_port(owner)
    with socket.socket() as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))

        del owner

        other.bind(("127.0.0.1", port))
