"""One address before two registries: what is pushed goes to one, what is read comes from the other.

So the conformance suite can push its own content to an upstream and check, byte for byte, what a
mirror of that upstream answers.
"""

from __future__ import annotations

import io
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

_HOP_BY_HOP = ("Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade")


class SplitProxy:
    """A reverse proxy on loopback; `url` is where it answers while it is open."""

    def __init__(self, *, reads: str, writes: str) -> None:
        self._reads = reads
        self._writes = writes
        self.url = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        application = web.Application(client_max_size=64 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.Response:
        reads = request.method in {"GET", "HEAD"} and "/blobs/uploads/" not in request.path
        target = (self._reads if reads else self._writes) + request.raw_path
        try:
            return await self._pass_on(request, target)
        except aiohttp.ClientPayloadError:
            # Debian's registry announces a whole blob above the error of a range that it refuses.
            return web.Response(status=502)

    async def _pass_on(self, request: web.Request, target: str) -> web.Response:
        body = await request.read()
        async with self._session.request(
            request.method,
            URL(target, encoded=True),
            headers=_end_to_end(request.headers),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            data=io.BytesIO(body) if body else None,
            allow_redirects=False,
        ) as answer:
            return web.Response(
                status=answer.status,
                reason=answer.reason,
                headers=_end_to_end(answer.headers),
                body=await answer.read() or None,
            )


def _end_to_end(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in _HOP_BY_HOP:
        kept.popall(name, None)
    return kept
