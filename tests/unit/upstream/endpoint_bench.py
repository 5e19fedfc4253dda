"""An endpoint under test, against a registry on a real socket and a clock that a test sets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from registry.errors import BlobUnknown, UpstreamError
from registry.oci.rate_limits import RateLimit
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.auth import Login
from registry.upstream.client import open_client
from registry.upstream.contract import Fallback
from registry.upstream.endpoint import Endpoint
from registry.upstream.request import Request
from registry.upstream.statuses import Resource
from registry.upstream.tokens import TokenCache
from tests.fakes.upstream import FakeUpstream, Fault

NAME = "library/thing"
LAYER = bytes(range(256))


@dataclass
class Bench:
    """An endpoint under test, the registry behind it, and the time."""

    hub: FakeUpstream
    blob: str
    limits: list[RateLimit]
    now: float = 1000.0
    endpoint: Endpoint = None  # type: ignore[assignment]

    async def ask(
        self,
        path: str | None = None,
        *,
        method: str = "GET",
        counts: bool = False,
        fallback: Fallback = Fallback.NONE,
        resource: Resource = Resource.BLOB,
        repository: str = NAME,
    ) -> bytes:
        path = path or f"{NAME}/blobs/{self.blob}"
        missing = partial(BlobUnknown, NAME, "it")
        request = Request(
            method, path, repository, missing, resource, counts=counts, fallback=fallback
        )
        async with self.endpoint.request(request) as answer:
            return b"".join([chunk async for chunk in answer.response.aiter_raw()])

    async def fail(self, path: str | None = None, **options: Any) -> Exception:
        with pytest.raises((BlobUnknown, UpstreamError)) as caught:
            await self.ask(path, **options)
        return caught.value

    def break_blobs(self, action: Any, times: int | None = 1) -> None:
        self.hub.faults.add(Fault("blob", action, times=times))


@asynccontextmanager
async def open_bench(hub: FakeUpstream) -> AsyncIterator[Bench]:
    """Open an endpoint of `hub`, which has one blob."""
    blob = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    bench = Bench(hub, blob, [])
    settings = UpstreamSettings(endpoints=(hub.url,))
    async with open_client("docker.io", settings) as client:
        clock = lambda: bench.now  # noqa: E731
        login = Login(hub.url, None, TokenCache(client, clock))
        bench.endpoint = Endpoint(hub.url, client, login, clock, bench.limits.append)
        yield bench
