"""The size of a blob, from the headers of answers."""

from collections.abc import Mapping
from dataclasses import replace

from registry.oci.byte_ranges import parse_content_range
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import RangeRefused
from registry.upstream.request import Request, is_compressed


def read_length(headers: Mapping[str, str]) -> int | None:
    """Return the number of bytes of a body, as its Content-Length says; None if there is none."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


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
