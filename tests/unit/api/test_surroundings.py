"""Laws of what a connection says of its client."""

import asyncio
from typing import Any

import pytest

from registry.access.surroundings import Surroundings
from registry.api.surroundings import find_certificate, find_surroundings

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
    assert describe({"subject": subject}) == Surroundings("192.0.2.1", name)


@pytest.mark.parametrize("certificate", [None, {}])
def test_without_a_verified_certificate(certificate: Any) -> None:
    """OpenSSL describes nothing of a certificate that it has not verified."""
    assert describe(certificate) == Surroundings("192.0.2.1")


def test_without_a_connection() -> None:
    """Nobody is identified; and a socket of the file system has no address."""
    assert find_certificate(None) == ""
    assert describe({"subject": (ALICE,)}, peer="a path") == Surroundings(None, "alice")
