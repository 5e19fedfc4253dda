"""Watching the catalog of a running server: is it damaged, or was its file replaced?"""

import asyncio
from typing import NoReturn

from registry.errors import CatalogLost
from registry.store.data_folder import DataFolder, FileIdentity

PERIOD = 1.0  # seconds between two checks


class CatalogWatch:
    """Notices that all processes of a server have to open another catalog.

    A process that finds damage writes the mark file `lost` of the data folder. Another server on
    the same folder may have made the catalog again, or an operator may have deleted or replaced it:
    then the processes of this server have a file open that nobody else uses any more.
    """

    def __init__(self, folder: DataFolder, opened: FileIdentity | None) -> None:
        """`opened` is the file of the catalog before the first process of the server opened it."""
        self._folder = folder
        self._opened = opened

    async def keep_watching(self) -> NoReturn:
        """Watch until cancelled.

        Raises:
            CatalogLost: the catalog is damaged, or is another file by now.
        """
        while True:
            if self._is_lost():
                raise CatalogLost(str(self._folder.catalog))
            await asyncio.sleep(PERIOD)

    def _is_lost(self) -> bool:
        try:
            return self._folder.lost.exists() or self._folder.identify_catalog() != self._opened
        except OSError:  # a disk that does not answer just now says nothing of its files
            return False
