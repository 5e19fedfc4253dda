"""A listener for each test, with the limits that it names."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.unit.server.connection_site import ConnectionSite, open_site


@pytest.fixture
async def make_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Any]]:
    structlog.reset_defaults()
    async with AsyncExitStack() as stack:

        async def make(**limits: Any) -> ConnectionSite:
            return await stack.enter_async_context(open_site(tmp_path, monkeypatch, **limits))

        yield make
