"""Laws of endpoints that have to send right bytes before theirs are sent to clients."""

import random

import httpx
import pytest

from registry.upstream.auth import Login
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.tokens import TokenCache


@pytest.mark.parametrize("needs_proof", [False, True])
async def test_proof_is_right_bytes(needs_proof: bool) -> None:
    """An endpoint is proven by bytes of a blob with the right digest, if a proof is wanted."""
    async with httpx.AsyncClient() as client:
        first, second = (
            Endpoint(url, client, Login(url, None, TokenCache(client, float)), float, print)
            for url in ("https://first.example", "https://second.example")
        )
        pool = EndpointPool("u", [first, second], float, random.Random(1), needs_proof=needs_proof)
        first.measured.note_right(1)

        assert pool.suspects.are_proven([first.origin])
        assert pool.suspects.are_proven([second.origin]) != needs_proof
        assert pool.suspects.are_proven([first.origin, second.origin]) != needs_proof
