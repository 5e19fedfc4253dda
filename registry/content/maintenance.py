"""The steward's round: what keeps the store in order while nobody asks for anything."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from registry.content.audit import Audit
from registry.content.expiry import Expiry
from registry.content.pull_history import PullHistory
from registry.content.space import Space
from registry.errors import StoreError

TURN = 5.0  # seconds between two looks at how much room is left
HOUR = 3600.0  # seconds between two looks for images kept long enough, and two sweeps of the spool
SWEEP = 30.0  # seconds between two looks at what the dead have left
LULL = 60.0  # seconds between two looks whether an audit is due


class Maintenance:
    """Keeps room ready, lets images and history go that are kept long enough, looks for rot."""

    def __init__(
        self, room: Space, retention: Expiry, history: PullHistory, audit: Audit, rate: float
    ) -> None:
        """`rate` is how many bytes a second the audit may read; 0 for none."""
        self._room = room
        self._retention = retention
        self._history = history
        self._audit = audit
        self._rate = rate
        self._log = structlog.get_logger("registry.mirror")

    async def keep_tidy(self) -> None:
        """Go round until cancelled; a disk that refuses is told of, and tried again."""
        async with asyncio.TaskGroup() as rounds:
            rounds.create_task(self._repeat("mended", self._room.finish_interrupted, SWEEP))
            rounds.create_task(self._repeat("tidied", self._room.keep_ready, TURN))
            rounds.create_task(self._repeat("swept", self._room.sweep, HOUR))
            if self._retention.is_wanted:
                rounds.create_task(self._repeat("expired", self._retention.expire, HOUR))
            rounds.create_task(self._repeat("forgotten", self._history.forget, HOUR))
            if self._rate:
                rounds.create_task(self._repeat("audited", self._audit_slowly, LULL))

    async def _audit_slowly(self) -> None:
        if self._audit.is_due("steward"):
            await self._audit.go_on("steward", rate=self._rate)

    async def _repeat(
        self, what: str, step: Callable[[], Coroutine[Any, Any, object]], pause: float
    ) -> None:
        while True:
            await self._try(what, step)
            await asyncio.sleep(pause)

    async def _try(self, what: str, step: Callable[[], Coroutine[Any, Any, object]]) -> bool:
        try:
            await step()
        except (StoreError, OSError) as error:  # a disk that refuses may do so for a while
            self._log.error(f"not {what}", why=str(error))
            return False
        return True
