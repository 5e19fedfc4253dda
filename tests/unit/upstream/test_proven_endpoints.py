"""Laws of endpoints that have to send right bytes before theirs are sent to clients."""

import random
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

import httpx
import pytest

from registry.errors import BlobUnknown, UpstreamUnproven
from registry.oci.digest import Digest
from registry.upstream.auth import Login
from registry.upstream.blob_download import BlobDownloader
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.pacing import Unpaced
from registry.upstream.request import Request
from registry.upstream.statuses import Resource
from registry.upstream.tokens import TokenCache
from tests.fakes.virtual_endpoints import VirtualEndpoint, VirtualTransport, build_source

CONTENT = bytes(range(256)) * 1000
NAMES = ("first", "second", "third")


async def read_required(proven: Sequence[str]) -> tuple[str, list[int]]:
    """Read bytes that are sent at once; return who sent them, and how many each endpoint has sent.

    `proven` are the endpoints that have sent right bytes before.
    """
    endpoints = [VirtualEndpoint(f"https://{name}.example", CONTENT) for name in NAMES]
    async with httpx.AsyncClient(transport=VirtualTransport(endpoints)) as client:
        source = build_source(endpoints, client, needs_proof=True)
        for endpoint in source._pool.candidates():
            if endpoint.origin in proven:
                endpoint.measured.note_right(1)
        download = source.open_blob("library/a", Digest.of(CONTENT), len(CONTENT))
        download.require_proof()
        async with aclosing(download.stream(0, None)) as chunks:
            assert b"".join([chunk async for chunk in chunks]) == CONTENT
    return download.endpoint, [each.total for each in endpoints]


async def test_only_proven_endpoints_are_asked_for_what_cannot_be_held_back() -> None:
    """Wherever they are in the order; and if there are none, nobody is asked."""
    proven = "https://third.example"
    assert await read_required([proven]) == (proven, [0, 0, len(CONTENT)])
    with pytest.raises(UpstreamUnproven, match="before they are verified"):
        await read_required([])


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
            with pytest.raises(UpstreamUnproven):
                await anext(last.stream(2**20, None))
