"""What a server does while it imports its libraries, in a thread.

The imports take half a second. The check of a large catalog takes a third of one, and SQLite does
not need the interpreter meanwhile.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from registry.catalog.preparation import is_missing, is_sound
from registry.errors import StoreError
from registry.store.data_folder import find_folder
from registry.upstream.trust import import_aiohttp


class EarlyWork:
    """The work of the thread; `with` starts it, and waits for its end, so that one may fork.

    `sound` is then whether the catalog of the data folder `root` is sound. It is None if that is
    not known, for example because there is no catalog: then `open_data_folder` finds out.
    """

    def __init__(self, root: Path) -> None:
        self.sound: bool | None = None
        self._root = root
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _work(self) -> None:
        with suppress(StoreError, OSError):  # `open_data_folder` says why it cannot be used
            catalog = find_folder(self._root).catalog
            if not is_missing(catalog):
                self.sound = is_sound(catalog)


def import_libraries() -> None:
    """Import what has to be imported in a special way, before other files import it."""
    import_aiohttp()
