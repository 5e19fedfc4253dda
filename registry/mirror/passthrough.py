"""Passing a blob through without storing it, when the disk refuses or has too little space."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from registry.errors import DigestMismatch
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.partial import PartialReader
from registry.tasks import in_thread
from registry.upstream.contract import BlobDownload

if TYPE_CHECKING:
    from hashlib import _Hash

_PIECE = 1024 * 1024  # bytes


async def pass_through(
    download: BlobDownload,
    digest: Digest,
    sent: Span,
    stop: int | None,
    reader: PartialReader | None,
    *,
    note: Callable[[int], None],
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes from `sent.stop` to `stop` from the upstream, without storing them.

    `sent` is the span that the client already has; `reader` can read these bytes. `note` is called
    with each number of bytes that come from the upstream. If `stop` is the
    end of the blob, the whole blob is hashed, including the bytes before `sent`, and the last byte
    is yielded only after the digest was checked. As long as no size is known, `stop` counts as the
    end. Endpoints that have sent wrong bytes are not asked, unless there is only one endpoint.
    Those that are only suspect are asked if all are: otherwise a disk that is full would stop all
    pulls for as long as the suspicion lasts. Those of a whole blob learn what its digest says of
    their bytes.

    Raises:
        DigestMismatch: the bytes are wrong; the last byte was not yielded.
        UpstreamUnproven: the settings want a proof, and no endpoint has given it.
        UpstreamError, BlobUnknown: as for `BlobDownload.stream`.
    """
    download.require_proof(or_marked=True)  # only the last byte is held back
    hasher = digest.hasher()
    is_hashed = _is_end(stop, download.size)
    offset = await _hash_file(reader, sent.stop, hasher) if is_hashed else sent.stop
    is_from_file = is_hashed and offset > 0
    held = b""
    async with aclosing(download.stream(offset, stop)) as chunks:
        async for chunk in chunks:
            note(len(chunk))
            hasher.update(chunk)
            wanted = chunk[max(0, sent.stop - offset) :]
            offset += len(chunk)
            if wanted:
                yield held + wanted[:-1]
                held = wanted[-1:]
    # The first answer may have told the size, which shows whether `stop` is the end.
    if is_hashed and _is_end(stop, download.size):
        if hasher.hexdigest() != digest.encoded:
            if not is_from_file:  # else nobody knows here who sent the bytes in the file
                download.mark_suspect()
            why = "the upstream sent wrong bytes, which were not stored"
            raise DigestMismatch(str(digest), why)
        download.mark_right()
    yield held


def _is_end(stop: int | None, size: int | None) -> bool:
    """Whether a blob of `size` bytes may end at `stop`; None: not known, and the end."""
    return stop is None or size in (None, stop)


async def _hash_file(reader: PartialReader | None, stop: int, hasher: "_Hash") -> int:
    """Hash the bytes of the file before `stop`; return how many bytes were hashed."""
    at = 0
    while reader is not None and at < stop:
        piece = await in_thread(reader.read, at, min(_PIECE, stop - at))
        if not piece:
            break
        hasher.update(piece)
        at += len(piece)
    return at
