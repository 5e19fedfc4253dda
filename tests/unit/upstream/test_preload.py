"""What is done once, before the workers start, is not done in each request."""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib.abc import MetaPathFinder
from typing import Any

import httpx
import pytest

from registry.upstream.client import preload
from tests.fakes.raw_server import RawRequest, RawServer, write_answer


class Recorder(MetaPathFinder):
    """Notes which modules are looked for in the folders of Python."""

    def __init__(self) -> None:
        self.wanted: list[str] = []

    def find_spec(self, name: str, *_: Any) -> None:
        self.wanted.append(name)


async def answer(_: RawRequest) -> AsyncIterator[bytes]:
    yield write_answer()


def test_no_request_looks_for_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore imports one in each step: if it is not there, it would be looked for each time."""
    monkeypatch.delitem(sys.modules, "sniffio", raising=False)
    preload()
    recorder = Recorder()

    async def ask() -> None:
        with RawServer(answer) as server:
            async with httpx.AsyncClient() as client:
                monkeypatch.setattr(sys, "meta_path", [recorder, *sys.meta_path])
                await client.get(server.url)

    asyncio.run(ask())
    assert "sniffio" not in recorder.wanted
