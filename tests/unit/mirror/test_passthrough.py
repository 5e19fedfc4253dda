"""Laws of passing through: no client gets the last byte of a wrong blob."""

from pathlib import Path

import pytest

from registry.errors import DigestMismatch, UpstreamUnproven
from registry.mirror.passthrough import pass_through
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.partial import PartialReader
from tests.fakes.source import MemorySource, Tap

CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)
SIZE = len(CONTENT)


async def read_through(
    tap: Tap,
    sent: Span,
    stop: int | None,
    reader: PartialReader | None = None,
    *,
    size: int | None = SIZE,
) -> tuple[bytes, bool]:
    """Return what a client gets, and whether an error was raised.

    All bytes that come from the upstream are noted.
    """
    source = MemorySource(tap, blobs={("a", str(DIGEST)): CONTENT})
    transfer = source.open_blob("a", DIGEST, size)
    got = b""
    noted: list[int] = []
    try:
        async for chunk in pass_through(transfer, DIGEST, sent, stop, reader, note=noted.append):
            got += chunk
    except DigestMismatch:
        return got, True
    assert sum(noted) >= len(got)
    return got, False


@pytest.mark.parametrize("start", [0, 1, 1000, SIZE - 1])
async def test_right_end_comes_whole(start: int) -> None:
    """From any offset to the end, all bytes of a right blob are yielded."""
    assert (CONTENT[start:], False) == await read_through(Tap(), Span(start, start), SIZE)


@pytest.mark.parametrize("start", [0, 1, 1000, SIZE - 1])
async def test_wrong_end_lacks_its_last_byte(start: int) -> None:
    """From any offset to the end, the last byte of a wrong blob is not yielded."""
    tap = Tap()
    tap.is_lying = True
    got, is_wrong = await read_through(tap, Span(start, start), SIZE)
    assert is_wrong
    assert len(got) == SIZE - start - 1


async def test_bytes_that_need_a_proof_are_not_passed_through() -> None:
    """They cannot be held back until the digest was checked, as they are not stored."""
    tap = Tap()
    tap.needs_proof = True
    with pytest.raises(UpstreamUnproven):
        await read_through(tap, Span(0, 0), SIZE)
    assert tap.given == 0


@pytest.mark.parametrize("kept", [0, 500, 1000, 70_000])
async def test_file_and_upstream_make_a_whole(tmp_path: Path, kept: int) -> None:
    """Bytes in the file are hashed from there; missing ones are fetched too."""
    path = tmp_path / "part"
    path.write_bytes(CONTENT[:kept])
    sent = Span(1000, max(1000, kept))
    tap = Tap()
    with PartialReader(path) as reader:
        found = await read_through(tap, sent, SIZE, reader)
    assert (CONTENT[sent.stop :], False) == found
    assert tap.given == SIZE - min(kept, sent.stop)


async def test_wrong_file_is_found_out(tmp_path: Path) -> None:
    """If the beginning in the file is wrong, the whole blob is wrong."""
    path = tmp_path / "part"
    path.write_bytes(bytes(2000))
    with PartialReader(path) as reader:
        got, is_wrong = await read_through(Tap(), Span(1000, 2000), SIZE, reader)
    assert is_wrong
    assert CONTENT[2000:-1] == got


async def test_middle_costs_no_more_than_itself() -> None:
    """For a span before the end only that span is fetched, and not verified."""
    tap = Tap()
    assert (CONTENT[10:20], False) == await read_through(tap, Span(10, 10), 20)
    assert tap.given == 10


@pytest.mark.parametrize("start", [0, 1, 1000])
async def test_wrong_end_of_an_unknown_size_lacks_its_last_byte(start: int) -> None:
    """A size that only the answer tells shows too late that `stop` is the end: all is hashed."""
    tap = Tap()
    tap.is_lying = True
    got, is_wrong = await read_through(tap, Span(start, start), SIZE, size=None)
    assert is_wrong
    assert len(got) == SIZE - start - 1


async def test_middle_of_an_unknown_size_is_yielded() -> None:
    """If the answer tells that `stop` is not the end, the digest of the whole says nothing."""
    assert (CONTENT[10:20], False) == await read_through(Tap(), Span(10, 10), 20, size=None)
