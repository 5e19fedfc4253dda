"""Laws of endpoints that have to send right bytes before theirs are sent to clients."""

import random
from functools import partial

import httpx
import pytest

from registry.errors import BlobUnknown, UpstreamError
from registry.upstream.auth import Login
from registry.upstream.blob_download import BlobDownloader
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.pacing import Unpaced
from registry.upstream.request import Request
from registry.upstream.statuses import Resource
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

        assert pool.are_proven([first.origin])
        assert pool.are_proven([second.origin]) != needs_proof
        assert pool.are_proven([first.origin, second.origin]) != needs_proof


@pytest.mark.parametrize("needs_proof", [False, True])
async def test_a_download_goes_on_with_proven_endpoints(needs_proof: bool) -> None:
    """If clients may read the first bytes already, no other endpoint sends the rest."""
    async with httpx.AsyncClient() as client:
        new, proven = (
            Endpoint(url, client, Login(url, None, TokenCache(client, float)), float, print)
            for url in ("https://new.example", "https://proven.example")
        )
        pool = EndpointPool("u", [new, proven], float, random.Random(1), needs_proof=needs_proof)
        proven.measured.note_right(1)
        unknown = partial(BlobUnknown, "a/b", "x")
        request = Request("GET", "a/b", "/x", unknown, Resource.BLOB)
        download = BlobDownloader(pool, request, 2**30, Unpaced())
        assert {each.origin for each in download.list_senders()} == {new.origin, proven.origin}

        download.require_proof()

        wanted = {proven.origin} if needs_proof else {new.origin, proven.origin}
        assert {each.origin for each in download.list_senders()} == wanted
        gone = EndpointPool("u", [new], float, random.Random(1), needs_proof=needs_proof)
        last = BlobDownloader(gone, request, 2**30, Unpaced())
        last.require_proof()
        if needs_proof:
            with pytest.raises(UpstreamError, match="no endpoint left that has sent right bytes"):
                await anext(last.stream(2**20, None))
