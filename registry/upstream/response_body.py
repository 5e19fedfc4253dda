"""Bodies of bounded length."""

from registry.errors import UpstreamFaulty
from registry.upstream.endpoint import Answer


async def read_body(answer: Answer, limit: int) -> bytes:
    """Read a whole body of at most `limit` bytes.

    Raises:
        UpstreamFaulty: it is longer; reading stops there.
    """
    body = bytearray()
    async for chunk in answer.response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise UpstreamFaulty(answer.origin, f"sends more than {limit} bytes")
    return bytes(body)
