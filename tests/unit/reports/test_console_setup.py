"""Laws of the address that clients are told."""

import pytest

from registry.reports.console.setup import MirrorAddress, find_address, read_host
from registry.reports.console.setup_texts import list_snippets


@pytest.mark.parametrize(
    ("listen", "asked", "expected"),
    [
        (("127.0.0.1", 5000), "mirror.lan:5001", "127.0.0.1:5000"),
        (("0.0.0.0", 5000), "mirror.lan:5001", "mirror.lan:5000"),
        (("0.0.0.0", 5000), "mirror.lan", "mirror.lan:5000"),
        (("::", 5000), "[fd00::1]:5001", "[fd00::1]:5000"),
        (("fd00::1", 5000), "mirror:5001", "[fd00::1]:5000"),
        (("0.0.0.0", 5000), 'x"><script>', "127.0.0.1:5000"),
    ],
)
def test_where_clients_reach_the_mirror(listen: tuple[str, int], asked: str, expected: str) -> None:
    """At the address it listens at; at all of them, by the name that the browser has used."""
    assert expected == find_address(listen, has_tls=False, asked=asked).host


def test_a_host_that_is_none_is_not_repeated() -> None:
    """Anybody can send such a header."""
    assert read_host("mirror:5000", "127.0.0.1:5000") == "mirror:5000"
    assert read_host("mirror:5000 evil", "127.0.0.1:5000") == "127.0.0.1:5000"


def test_plain_http_on_another_machine_needs_a_word_in_each_client() -> None:
    """dockerd, Podman and BuildKit refuse it otherwise; with TLS they need none."""
    plain = _join(MirrorAddress("http", "mirror.lan:5000"))
    safe = _join(MirrorAddress("https", "mirror.lan:5000"))

    for word in ("insecure-registries", "insecure = true", "http = true"):
        assert word in plain
        assert word not in safe


def _join(address: MirrorAddress) -> str:
    clients = list_snippets(address, ["docker.io", "ghcr.io"]).clients
    return "".join(file.text for client in clients for file in client.files)
