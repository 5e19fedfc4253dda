"""Passing a blob through without keeping it: what is left to do when the disk refuses."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from registry.errors import DigestMismatch
from registry.oci.digest import Digest
from registry.oci.span import Span
from registry.store.part import PartReader
from registry.upstream.source import Transfer

_PIECE = 1024 * 1024  # bytes


async def relay(
    transfer: Transfer, digest: Digest, sent: Span, stop: int | None, reader: PartReader | None
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes from `sent.stop` to `stop`, straight from the upstream.

    `sent` is what the client already has, read from `reader`. Where that begins at 0 and the rest
    ends at the end, the whole is hashed and its last byte is held back until the digest agrees.

    Raises:
        DigestMismatch: the bytes are wrong; the last one was not yielded.
        UpstreamError, BlobUnknown: as `Transfer.stream` does.
    """
    hasher = digest.hasher()
    if reader is not None and sent.start == 0:
        for at in range(0, sent.stop, _PIECE):
            piece = await asyncio.to_thread(reader.read, at, min(_PIECE, sent.stop - at))
            hasher.update(piece)
    held = b""
    async with aclosing(transfer.stream(sent.stop, stop)) as chunks:
        async for chunk in chunks:
            hasher.update(chunk)
            yield held + chunk[:-1]
            held = chunk[-1:]
    is_whole = sent.start == 0 and stop in (None, transfer.size)
    if is_whole and hasher.hexdigest() != digest.encoded:
        transfer.accuse()
        raise DigestMismatch(str(digest), "wrong bytes arrived, and were not kept")
    yield held
