"""What a server does while it imports its libraries, and how it imports them.

The imports take half a second. The check of a large catalog takes a third of one, and SQLite does
not need the interpreter meanwhile: a thread can do it.
"""

from contextlib import suppress
from pathlib import Path

from registry.catalog.preparation import is_missing, is_sound
from registry.errors import StoreError
from registry.store.data_folder import find_folder
from registry.upstream.trust import import_aiohttp


def check_catalog(root: Path) -> bool | None:
    """Return whether the catalog of the data folder `root` is sound.

    It is None if that is not known, for example because there is no catalog: then
    `open_data_folder` finds out.
    """
    with suppress(StoreError, OSError):  # `open_data_folder` says why it cannot be used
        catalog = find_folder(root).catalog
        if not is_missing(catalog):
            return is_sound(catalog)
    return None


def import_libraries() -> None:
    """Import what has to be imported in a special way, before other files import it."""
    import_aiohttp()
