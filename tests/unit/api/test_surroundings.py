"""Laws of what a connection says of its client."""

import asyncio
from typing import Any

import pytest

from registry.access.surroundings import Surroundings
from registry.api.surroundings import find_surroundings

END = "Nov 30 12:00:00 2026 GMT"
NOON = 1_796_040_000.0  # the same, in epoch seconds
ALICE = (("commonName", "alice"),)


def describe(certificate: Any, peer: Any = ("192.0.2.1", 1)) -> Surroundings:
    return find_surroundings(asyncio.Transport({"peername": peer, "peercert": certificate}))


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ((ALICE,), "alice"),
        (((("organizationName", "acme"),), ALICE), "alice"),
        (((("organizationName", "acme"), ALICE[0]),), "alice"),
        ((ALICE, ALICE), ""),
        ((ALICE, (("commonName", "bob"),)), ""),
        (((ALICE[0], ("commonName", "bob")),), ""),
        (((("organizationName", "alice"),),), ""),
        ((), ""),
    ],
)
def test_the_common_name(subject: Any, name: str) -> None:
    """There has to be exactly one, in one part of the subject or another."""
    described = describe({"subject": subject, "notAfter": END})

    assert described == Surroundings("192.0.2.1", name, ends=NOON)


@pytest.mark.parametrize("end", [{}, {"notAfter": "the end of the world"}])
def test_a_certificate_without_a_known_end_has_ended(end: Any) -> None:
    """Otherwise a form of the time that we do not know would make it last forever."""
    assert describe({"subject": (ALICE,), **end}).find_certificate(now=1.0) == ""


@pytest.mark.parametrize("certificate", [None, {}])
def test_without_a_verified_certificate(certificate: Any) -> None:
    """OpenSSL describes nothing of a certificate that it has not verified."""
    assert describe(certificate) == Surroundings("192.0.2.1")


def test_without_a_connection() -> None:
    """Nobody is identified; and a socket of the file system has no address."""
    described = describe({"subject": (ALICE,), "notAfter": END}, peer="a path")

    assert find_surroundings(None) == Surroundings()
    assert described == Surroundings(None, "alice", ends=NOON)
