"""The histories of tags that have no image here.

With `new_tags = "refuse"` they were only ever refused, or with `min_age` their image has expired.
Nothing else deletes these histories, as nothing is stored of such a tag; and clients can ask for as
many as an upstream has.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

from registry.content.tag_history import TagHistories
from registry.errors import StoreError
from registry.logs import get_logger
from registry.oci.names import Repository, Tag
from registry.store.tag_history import TagHistory
from registry.store.tags import TagFiles

DAY = 86_400.0  # seconds between two searches
KEPT_FOR = 400 * DAY  # seconds after a tag was asked for the last time
MOST = 20_000  # histories; a file takes 4 KiB of most disks

LoneHistory = tuple[Repository, Tag, TagHistory]


def choose_forgotten(found: Iterable[LoneHistory], now: float, most: int) -> list[LoneHistory]:
    """Return which histories are deleted: the old ones, and those that are too many. Pure.

    Those that were asked for last are kept. So are rollbacks: an operator has made them.
    """
    refused = [each for each in found if not each[2].rolled_back_to]
    refused.sort(key=lambda each: _find_last(each[2]), reverse=True)
    old = [each for each in refused[:most] if now - _find_last(each[2]) > KEPT_FOR]
    return [*old, *refused[most:]]


def _find_last(history: TagHistory) -> float:
    return history.latest.last if history.latest else 0.0


class RefusedTags:
    """Deletes old histories of tags that have no image here."""

    def __init__(
        self,
        tags: TagFiles,
        histories: TagHistories,
        clock: Callable[[], float] = time.time,
        most: int = MOST,
    ) -> None:
        self._tags = tags
        self._histories = histories
        self._clock = clock
        self._most = most
        self._log = get_logger("registry.content")

    async def keep_few(self) -> None:
        """Look once a day, until cancelled."""
        while True:
            try:
                await self.forget()
            except (StoreError, OSError) as error:  # a disk may refuse for a while
                self._log.error("histories of refused tags not deleted", why=str(error))
            await asyncio.sleep(DAY)

    async def forget(self) -> None:
        """Delete the histories that are too old, or too many.

        Raises:
            StoreError, OSError: the disk refused.
        """
        found = [each async for each in self._tags.scan_lone_histories()]
        for repository, tag, history in choose_forgotten(found, self._clock(), self._most):
            async with self._histories.hold(repository, tag):
                known = await self._histories.read(repository, tag)
                if known.target is None and known.history == history:  # nobody has asked meanwhile
                    await self._histories.write(repository, tag, TagHistory())
