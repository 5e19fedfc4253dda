"""Laws of who is asked for a blob that is passed through, and what its digest says of them.

Everything above the transport of httpx is real.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from registry.errors import DigestMismatch, UpstreamUnproven
from registry.mirror.passthrough import pass_through
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.partial import PartialReader
from registry.upstream.registry import RegistrySource
from tests.fakes.virtual_endpoints import VirtualEndpoint, VirtualTransport, build_source, origin_of

CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)
SIZE = len(CONTENT)
LIE = Span(5000, 5001)
NAMES = ("first", "second", "third")


class Site:
    """Endpoints that have the blob, in the order in which they are asked."""

    def __init__(self, client: httpx.AsyncClient, endpoints: list[VirtualEndpoint]) -> None:
        self.endpoints = endpoints
        self.source: RegistrySource = build_source(endpoints, client)
        self.pool = self.source._pool

    def convict(self, *numbers: int) -> None:
        for number in numbers:
            self.pool.suspects.convict(origin_of(self.endpoints[number]), "a/blobs/b")

    def list_suspects(self) -> list[bool]:
        return [self.pool.suspects.is_suspect(each) for each in self.pool.endpoints]

    async def read(self, reader: PartialReader | None = None, kept: int = 0) -> tuple[bytes, bool]:
        """Return what a client gets after the `kept` bytes, and whether it was cut."""
        download, got = self.source.open_blob("library/a", DIGEST, SIZE), b""
        chunks = pass_through(download, DIGEST, Span(0, kept), SIZE, reader, note=lambda _: None)
        try:
            async for chunk in chunks:
                got += chunk
        except DigestMismatch:
            return got, True
        return got, False


@pytest.fixture
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    count = getattr(request, "param", 3)
    endpoints = [VirtualEndpoint(f"https://{name}.example", CONTENT) for name in NAMES[:count]]
    async with httpx.AsyncClient(transport=VirtualTransport(endpoints)) as client:
        yield Site(client, endpoints)


async def test_suspects_are_not_asked(site: Site) -> None:
    """Nothing of them can be held back, so that another endpoint sends all of it."""
    site.convict(0, 1)

    assert await site.read() == (CONTENT, False)
    assert [each.total for each in site.endpoints] == [0, 0, SIZE]


async def test_a_suspect_does_not_stand_in_for_an_endpoint_that_breaks(site: Site) -> None:
    """Another one goes on from the byte where it broke."""
    site.convict(0)
    site.endpoints[1].size = SIZE + 1  # a faulty answer

    assert await site.read() == (CONTENT, False)
    assert [each.total for each in site.endpoints] == [0, 0, SIZE]


async def test_a_blob_is_refused_if_all_are_suspect(site: Site) -> None:
    """Without the disk, its bytes would be sent before anybody knows whether they are right."""
    site.convict(0, 1, 2)

    with pytest.raises(UpstreamUnproven):
        await site.read()
    assert [each.total for each in site.endpoints] == [0, 0, 0]


@pytest.mark.parametrize("convicted", [(), (1,)])
async def test_one_that_is_only_marked_is_asked_if_all_are_suspect(
    site: Site, convicted: tuple[int, ...]
) -> None:
    """Nobody knows that its bytes were wrong; the likeliest liar is asked last.

    Otherwise a full disk would stop all pulls for ten minutes.
    """
    site.pool.suspects.mark([origin_of(site.endpoints[number]) for number in (2, 1, 0)])
    site.convict(*convicted)

    assert await site.read() == (CONTENT, False)
    assert [each.total for each in site.endpoints] == [0, 0, SIZE]
    assert site.list_suspects() == [True, True, False]


async def test_a_marked_one_that_lies_is_asked_once(site: Site) -> None:
    """Its client is cut before the last byte, and the next one gets right bytes of another one."""
    site.pool.suspects.mark([origin_of(site.endpoints[number]) for number in (2, 1, 0)])
    site.endpoints[2].lies = [LIE]

    got, is_cut = await site.read()

    assert (len(got), is_cut) == (SIZE - 1, True)
    assert await site.read() == (CONTENT, False)
    assert [each.total for each in site.endpoints] == [0, SIZE, SIZE]


async def test_a_liar_is_found_out_at_the_last_byte(site: Site) -> None:
    """The client is cut one byte short; its retry is right, from an endpoint beside the liar."""
    site.endpoints[0].lies = [LIE]

    got, is_cut = await site.read()
    assert (len(got), is_cut) == (SIZE - 1, True)
    assert site.list_suspects() == [True, False, False]
    assert await site.read() == (CONTENT, False)
    assert site.list_suspects() == [True, False, False]


@pytest.mark.parametrize("site", [1], indirect=True)
async def test_the_only_endpoint_is_asked_although_it_is_suspect(site: Site) -> None:
    """To hold its bytes back would bring no others; the last byte waits for the digest."""
    site.convict(0)
    assert await site.read() == (CONTENT, False)

    site.endpoints[0].lies = [LIE]
    got, is_cut = await site.read()
    assert (len(got), is_cut) == (SIZE - 1, True)


async def test_right_bytes_count_for_who_sent_them(site: Site) -> None:
    """As if the blob had been stored; where a proof is wanted, it is one."""
    await site.read()

    assert [each.measured.performance.right for each in site.pool.endpoints] == [SIZE, 0, 0]


@pytest.mark.parametrize("kept", [1, 10_000])
async def test_nobody_is_accused_of_bytes_in_the_file(
    site: Site, tmp_path: Path, kept: int
) -> None:
    """Another endpoint may have sent them before the disk refused, so the digest convicts nobody.

    The client is cut nevertheless.
    """
    (tmp_path / "part").write_bytes(bytes(each ^ 1 for each in CONTENT[:kept]))
    with PartialReader(tmp_path / "part") as reader:
        got, is_cut = await site.read(reader, kept)

    assert (CONTENT[kept:-1], True) == (got, is_cut)
    assert site.list_suspects() == [False, False, False]
    assert [each.measured.performance.wrong for each in site.pool.endpoints] == [0, 0, 0]
