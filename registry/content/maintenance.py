"""What the background process does at intervals to keep the data folder in order."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from registry.content.audit import BACKGROUND, Audit
from registry.content.expiry import Expiry
from registry.content.pull_history import PullHistory
from registry.content.space import Space
from registry.errors import StoreError
from registry.logs import get_logger

SPACE_INTERVAL = 5.0  # seconds between two checks of the free space
HOUR = 3600.0  # seconds between two searches for expired images and old side files
CRASH_INTERVAL = 30.0  # seconds between two searches for work that crashes interrupted
AUDIT_INTERVAL = 60.0  # seconds between two checks whether an audit is due


class Maintenance:
    """Keeps space free, removes expired images and history, and looks for damaged blobs."""

    def __init__(
        self, space: Space, expiry: Expiry, history: PullHistory, audit: Audit, rate: float
    ) -> None:
        """`rate` is how many bytes a second the audit may read; 0 means no audit."""
        self._space = space
        self._expiry = expiry
        self._history = history
        self._audit = audit
        self._rate = rate
        self._log = get_logger("registry.content")

    async def keep_tidy(self) -> None:
        """Run until cancelled; a step that the disk refuses is logged and tried again later."""
        async with asyncio.TaskGroup() as steps:
            steps.create_task(
                self._repeat(
                    "interrupted work not finished", self._space.finish_interrupted, CRASH_INTERVAL
                )
            )
            steps.create_task(
                self._repeat("space not freed", self._space.keep_ready, SPACE_INTERVAL)
            )
            steps.create_task(self._repeat("side files not deleted", self._space.sweep, HOUR))
            if self._expiry.is_wanted:
                steps.create_task(
                    self._repeat("expired images not removed", self._expiry.expire, HOUR)
                )
            steps.create_task(
                self._repeat("old pull history not deleted", self._history.forget, HOUR)
            )
            if self._rate:
                steps.create_task(self._repeat("audit failed", self._audit_slowly, AUDIT_INTERVAL))

    async def _audit_slowly(self) -> None:
        if self._audit.is_due(BACKGROUND):
            await self._audit.go_on(BACKGROUND, rate=self._rate)

    async def _repeat(
        self, failure: str, step: Callable[[], Coroutine[Any, Any, object]], pause: float
    ) -> None:
        while True:
            await self._try(failure, step)
            await asyncio.sleep(pause)

    async def _try(self, failure: str, step: Callable[[], Coroutine[Any, Any, object]]) -> None:
        try:
            await step()
        except (StoreError, OSError) as error:  # a disk may refuse for a while
            self._log.error(failure, why=str(error))
