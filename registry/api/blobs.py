"""Blobs: `GET` and `HEAD /v2/<name>/blobs/<digest>`, whole, in ranges, and while downloading."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing

from aiohttp import HttpVersion11, web

from registry.api.connection import reset
from registry.api.headers import add_common_headers, content_headers, names_digest
from registry.api.middleware import Notes
from registry.api.multipart import Multipart, content_range, describe_parts
from registry.api.sendfile import Piece, send_body
from registry.errors import EntrepotError
from registry.mirror.blob_bodies import DownloadingBlob, StoredBlob
from registry.mirror.blobs import Blobs
from registry.mirror.cache_status import CacheStatus
from registry.oci import media_types
from registry.oci.byte_ranges import Span, parse_range
from registry.oci.digest import Digest
from registry.oci.names import Repository

YEAR = 31_536_000  # seconds; the content of a digest never changes
FIRST_PIECE = 10.0  # seconds to wait for the first bytes before the headers are sent without them


async def answer_blob(
    request: web.BaseRequest, notes: Notes, blobs: Blobs, repository: Repository, digest: Digest
) -> web.StreamResponse:
    """Answer a blob, or the part of it that `Range` asks for; a HEAD downloads nothing."""
    conditions = request.headers.getall("If-None-Match", ())
    if conditions and names_digest(conditions, digest):
        # This raises if the repository does not have it.
        await blobs.stat(repository, digest, notes.client)
        return web.Response(status=304, headers=_headers(digest, blobs.stored))
    if request.method == "HEAD":
        # First, as it raises if the repository does not have it: otherwise the time would tell
        # whether it is stored for another one.
        size = await blobs.stat(repository, digest, notes.client)
        origin = blobs.stored if await blobs.is_here(repository, digest) else CacheStatus.MISS
        response = web.StreamResponse(headers=_headers(digest, origin))
        response.content_length = size
        return response
    with closing(await blobs.get(repository, digest, notes.client)) as blob:
        response = web.StreamResponse(headers=_headers(digest, blob.origin))
        pieces = _lay_out(request, response, digest, blob)
        if isinstance(blob, DownloadingBlob) and blob.is_passed_through:
            pieces = await _begin(pieces)
        add_common_headers(response.headers, notes.namespace)
        sent = notes.begin(response)
        try:
            is_growing = isinstance(blob, DownloadingBlob)
            await send_body(request, response, pieces, sent, is_growing=is_growing)
            if isinstance(blob, StoredBlob) and blob.origin is blobs.stored:
                notes.kept = blobs.keep(repository, digest)
        except ConnectionError:
            notes.has_client_left = True
        except (EntrepotError, EOFError) as error:
            # The connection is cut, so that no client takes an incomplete body for the whole blob.
            notes.failure = str(error)
            if request.transport is not None:
                _cut(request.transport, response)
        return response


def _cut(transport: asyncio.Transport, response: web.StreamResponse) -> None:
    if response.chunked or response.content_length is not None:
        transport.abort()  # the client sees that the body is incomplete
    else:
        reset(transport)  # HTTP/1.0: the usual end of the connection would be the end of the body


def _headers(digest: Digest, origin: CacheStatus) -> dict[str, str]:
    return content_headers(digest, media_types.BLOB, origin) | {
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={YEAR}, immutable",
    }


def _lay_out(
    request: web.BaseRequest,
    response: web.StreamResponse,
    digest: Digest,
    blob: StoredBlob | DownloadingBlob,
) -> AsyncGenerator[Piece, None]:
    """Set status and headers for the requested range, and return the body."""
    size = blob.size
    if size is None:
        if request.version < HttpVersion11:
            response.force_close()  # the body ends where the connection ends
        else:
            response.enable_chunked_encoding()
        return _read(blob, 0, None)
    spans = _read_spans(request, digest, size)
    if not spans:
        response.content_length = size
        return _read(blob, 0, size)
    response.set_status(206)
    if len(spans) > 1:
        multipart = describe_parts(spans, size)
        response.headers["Content-Type"] = multipart.content_type
        response.content_length = multipart.length
        return _read_parts(blob, multipart)
    (span,) = spans
    response.headers["Content-Range"] = content_range(span, size)
    response.content_length = span.length
    return _read(blob, span.start, span.stop)


def _read_spans(request: web.BaseRequest, digest: Digest, size: int) -> tuple[Span, ...]:
    # Two headers together are malformed, so they are ignored: `Range` is not a list of headers.
    wanted = ", ".join(request.headers.getall("Range", ()))
    if not wanted:
        return ()
    condition = request.headers.get("If-Range")
    if condition is not None and not names_digest([condition], digest):
        return ()
    spans = parse_range(wanted, size)
    # Overlapping ranges can be longer than the blob: then the whole blob is sent instead.
    return spans if sum(span.length for span in spans) <= size else ()


def _read(
    blob: StoredBlob | DownloadingBlob, start: int, stop: int | None
) -> AsyncGenerator[Piece, None]:
    if isinstance(blob, DownloadingBlob):
        return _follow(blob, start, stop)
    return blob.pieces(start, blob.size if stop is None else stop)


async def _follow(
    blob: DownloadingBlob, start: int, stop: int | None
) -> AsyncGenerator[Piece, None]:
    """Yield the bytes from `start` to `stop` (None: to the end) as they are downloaded."""
    descriptor, offset = blob.fileno(), start
    try:
        while stop is None or offset < stop:
            written = await blob.advance(offset)
            if written == offset:
                return
            end = written if stop is None else min(written, stop)
            yield descriptor, offset, end
            offset = end
    except EntrepotError as failure:
        # The partial file cannot be used any more: the rest may be had elsewhere.
        async with aclosing(blob.read_rest(Span(start, offset), stop, failure)) as pieces:
            async for piece in pieces:
                yield piece


async def _begin(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
    """Wait up to `FIRST_PIECE` seconds for the first piece of a body; return all its pieces.

    If the piece cannot be had, its error is raised here: no header was sent yet, so the client gets
    the status of the error.
    """
    first = asyncio.ensure_future(anext(pieces, None))
    try:
        await asyncio.wait([first], timeout=FIRST_PIECE)
    except asyncio.CancelledError:
        first.cancel()
        raise
    if first.done():
        first.result()
    return _go_on(first, pieces)


async def _go_on(
    first: asyncio.Future[Piece | None], pieces: AsyncGenerator[Piece, None]
) -> AsyncGenerator[Piece, None]:
    async with aclosing(pieces):
        piece = await first
        if piece is not None:
            yield piece
        async for piece in pieces:
            yield piece


async def _read_parts(
    blob: StoredBlob | DownloadingBlob, multipart: Multipart
) -> AsyncGenerator[Piece, None]:
    for head, span in multipart.parts:
        yield head
        async with aclosing(_read(blob, span.start, span.stop)) as pieces:
            async for piece in pieces:
                yield piece
    yield multipart.end
