"""Passing a blob through without keeping it: what is left to do when the disk refuses."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from registry.errors import DigestMismatch
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.partial import PartialReader
from registry.upstream.contract import BlobDownload

if TYPE_CHECKING:
    from hashlib import _Hash

_PIECE = 1024 * 1024  # bytes


async def relay(
    transfer: BlobDownload,
    digest: Digest,
    sent: Span,
    stop: int | None,
    reader: PartialReader | None,
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes from `sent.stop` to `stop`, straight from the upstream.

    `sent` is what the client already has, read from `reader`. Where the rest ends at the end of the
    blob, the whole is hashed, what comes before `sent` too, and the last byte is held back until
    the digest agrees.

    Raises:
        DigestMismatch: the bytes are wrong; the last one was not yielded.
        UpstreamError, BlobUnknown: as `BlobDownload.stream` does.
    """
    hasher = digest.hasher()
    is_end = stop in (None, transfer.size)
    offset = await _hash_file(reader, sent.stop, hasher) if is_end else sent.stop
    held = b""
    async with aclosing(transfer.stream(offset, stop)) as chunks:
        async for chunk in chunks:
            hasher.update(chunk)
            wanted = chunk[max(0, sent.stop - offset) :]
            offset += len(chunk)
            if wanted:
                yield held + wanted[:-1]
                held = wanted[-1:]
    if is_end and hasher.hexdigest() != digest.encoded:
        transfer.mark_suspect()
        raise DigestMismatch(str(digest), "wrong bytes arrived, and were not kept")
    yield held


async def _hash_file(reader: PartialReader | None, stop: int, hasher: "_Hash") -> int:
    """Hash what the file has before `stop`; return how far that went."""
    at = 0
    while reader is not None and at < stop:
        piece = await asyncio.to_thread(reader.read, at, min(_PIECE, stop - at))
        if not piece:
            break
        hasher.update(piece)
        at += len(piece)
    return at
