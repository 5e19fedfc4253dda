"""The size of a blob, from the headers of answers."""

from collections.abc import Mapping
from dataclasses import replace

from registry.oci.byte_ranges import MAX_DIGITS, parse_content_range
from registry.oci.manifest import MAX_SIZE
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import RangeRefused
from registry.upstream.request import Request, is_compressed


def read_length(headers: Mapping[str, str]) -> int | None:
    """Return the number of bytes of a body, as its Content-Length says; None if there is none.

    A number that no file can have is none either.
    """
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or len(length) > MAX_DIGITS:
        return None
    return int(length) if int(length) <= MAX_SIZE else None


def read_whole_size(headers: Mapping[str, str]) -> int | None:
    """Return the size of a blob, as an answer with the whole blob says; None if it says none."""
    return None if is_compressed(headers) else read_length(headers)


async def read_size(endpoint: Endpoint, request: Request) -> int | None:
    """Return the size of a blob by the GET `request`, of which only the first byte is wanted.

    None if the answer names no size. Raises the errors of `Endpoint.request`.
    """
    try:
        async with endpoint.request(replace(request, headers={"Range": "bytes=0-0"})) as answer:
            if answer.response.status_code != 206:
                return read_whole_size(answer.response.headers)
            found = parse_content_range(answer.response.headers.get("content-range", ""))
            return None if found is None else found[1]
    except RangeRefused:
        async with endpoint.request(request) as answer:
            return read_whole_size(answer.response.headers)
