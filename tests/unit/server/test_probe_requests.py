"""Laws of what workers remember of requests for probes."""

import os

from registry.server.probe_requests import MOST_OF_ONE, PAGE, ProbeRequests

NONCE = "f" * 32


def test_one_worker_finds_what_another_has_noted() -> None:
    """The question may reach another process than the request; the first request comes first."""
    requests = ProbeRequests(2)
    requests.of(1).note(NONCE, {"client": "10.0.0.1", "agent": "docker"})
    child = os.fork()
    if not child:
        requests.of(0).note(NONCE, {"client": "10.0.0.2", "agent": "podman"})
        os._exit(0)
    os.waitpid(child, 0)
    found = requests.of(1).find(NONCE)

    assert [each["client"] for each in found] == ["10.0.0.1", "10.0.0.2"]
    assert requests.of(0).find("e" * 32) == []


def test_one_address_cannot_push_out_what_others_have_asked() -> None:
    """Whatever it sends, it has a few places only, and the memory does not grow."""
    log = ProbeRequests(1).of(0)
    log.note(NONCE, {"client": "10.0.0.1"})
    for number in range(1000):
        log.note(f"{number:032x}", {"client": "10.9.9.9", "agent": "x" * 200})
    kept = [number for number in range(1000) if log.find(f"{number:032x}")]

    assert len(log.find(NONCE)) == 1
    assert kept == list(range(1000 - MOST_OF_ONE, 1000))


def test_many_addresses_share_one_page() -> None:
    """The oldest make room; each request that is found is whole."""
    log = ProbeRequests(1).of(0)
    for number in range(1000):
        log.note(f"{number:032x}", {"client": f"10.0.{number // 250}.{number % 250}"})
    kept = [number for number in range(1000) if log.find(f"{number:032x}")]

    assert kept == list(range(1000 - len(kept), 1000))
    assert PAGE // 300 < len(kept) < PAGE // 50
