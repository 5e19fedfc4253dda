"""Blobs: `GET` and `HEAD /v2/<name>/blobs/<digest>`, whole, in ranges, and while they arrive."""

from collections.abc import Awaitable, Callable
from contextlib import closing

from aiohttp import web

from registry.api.headers import content_headers, is_unchanged
from registry.api.middleware import observation, sign
from registry.api.multipart import Multipart, content_range, describe_parts
from registry.api.sendfile import cork, send_file
from registry.errors import EntrepotError, StoreError
from registry.mirror.blobs import ArrivingBlob, Blobs, StoredBlob
from registry.mirror.cache_status import CacheStatus
from registry.oci import media_types
from registry.oci.byte_ranges import Span, parse_range
from registry.oci.digest import Digest
from registry.oci.names import Repository

YEAR = 31_536_000  # seconds; content by digest never changes

# Sends the bytes from the first offset to the second (None: the end).
Sender = Callable[[web.StreamResponse, int, int | None], Awaitable[None]]


async def answer_blob(
    request: web.BaseRequest, blobs: Blobs, repository: Repository, digest: Digest
) -> web.StreamResponse:
    """Answer a blob, or the part of it that `Range` asks for; a HEAD fetches nothing."""
    if is_unchanged(request.headers.getall("If-None-Match", ()), digest):
        await blobs.stat(repository, digest)  # raises where this repository may not have it
        return web.Response(status=304, headers=_headers(digest, CacheStatus.HIT))
    if request.method == "HEAD":
        origin = CacheStatus.HIT if await blobs.is_here(digest) else CacheStatus.MISS
        response = web.StreamResponse(headers=_headers(digest, origin))
        response.content_length = await blobs.stat(repository, digest)
        return response
    with closing(await blobs.get(repository, digest)) as blob:
        if isinstance(blob, ArrivingBlob):
            send = _send_arriving(request, blob)
        else:
            send = _send_stored(request, blob)
        return await _answer(request, digest, blob.size, blob.origin, send)


def _headers(digest: Digest, origin: CacheStatus) -> dict[str, str]:
    return content_headers(digest, media_types.BLOB, origin) | {
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={YEAR}, immutable",
    }


def _send_stored(request: web.BaseRequest, blob: StoredBlob) -> Sender:
    async def send(response: web.StreamResponse, start: int, stop: int | None) -> None:
        left = (blob.size if stop is None else stop) - start
        async for piece in blob.pieces(start, start + left):
            if isinstance(piece, bytes):
                left -= len(piece)
                await response.write(piece)
            else:
                left -= piece[2] - piece[1]
                await send_file(request, response, *piece)
        if left:
            raise EOFError("the store gave another number of bytes than the blob has")

    return send


def _send_arriving(request: web.BaseRequest, blob: ArrivingBlob) -> Sender:
    async def send(response: web.StreamResponse, start: int, stop: int | None) -> None:
        offset = start
        cork(request, is_corked=False)
        try:
            while stop is None or offset < stop:
                landed = await blob.advance(offset)
                if landed == offset:
                    return
                upto = landed if stop is None else min(landed, stop)
                cork(request, is_corked=True)
                await send_file(request, response, blob.fileno(), offset, upto)
                cork(request, is_corked=False)  # the next bytes may have to be waited for
                offset = upto
        except StoreError:
            # The disk is of no more use to this blob: the rest comes straight from upstream.
            async for chunk in blob.relay(Span(start, offset), stop):
                await response.write(chunk)

    return send


async def _answer(
    request: web.BaseRequest, digest: Digest, size: int | None, origin: CacheStatus, send: Sender
) -> web.StreamResponse:
    response = web.StreamResponse(headers=_headers(digest, origin))
    if size is None:
        response.enable_chunked_encoding()
        return await _ship(request, response, lambda: send(response, 0, None))
    spans = _read_spans(request, digest, size)
    if len(spans) > 1:
        multipart = describe_parts(spans, size)
        response.set_status(206)
        response.headers["Content-Type"] = multipart.content_type
        response.content_length = multipart.length
        return await _ship(request, response, lambda: _send_parts(response, multipart, send))
    span = spans[0] if spans else Span(0, size)
    if spans:
        response.set_status(206)
        response.headers["Content-Range"] = content_range(span, size)
    response.content_length = span.length
    return await _ship(request, response, lambda: send(response, span.start, span.stop))


def _read_spans(request: web.BaseRequest, digest: Digest, size: int) -> tuple[Span, ...]:
    condition = request.headers.get("If-Range")
    if condition is not None and not is_unchanged([condition], digest):
        return ()
    spans = parse_range(request.headers.get("Range"), size)
    # Overlapping ranges could ask for more than there is: then the whole is the better answer.
    return spans if sum(span.length for span in spans) <= size else ()


async def _send_parts(response: web.StreamResponse, multipart: Multipart, send: Sender) -> None:
    for head, span in multipart.parts:
        await response.write(head)
        await send(response, span.start, span.stop)
    await response.write(multipart.end)


async def _ship(
    request: web.BaseRequest, response: web.StreamResponse, send: Callable[[], Awaitable[None]]
) -> web.StreamResponse:
    """Send headers and body; a body that cannot be completed ends in a cut, never cleanly."""
    sign(request, response)
    cork(request, is_corked=True)
    await response.prepare(request)
    try:
        await send()
    except (EntrepotError, EOFError) as error:
        observation(request).failure = str(error)
        if request.transport is not None:
            request.transport.abort()
    finally:
        cork(request, is_corked=False)
    return response
