"""Pins, which are stored in two places: in rows of the catalog, and in the file `pins.json`.

If the catalog was lost, its pins are made again from the file.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from registry.catalog.database import Database
from registry.catalog.pins import Pin, Root, list_pins, list_stored, put_pins, remove_pins
from registry.errors import InvalidInput, StoreError
from registry.logs import get_logger
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, parse_reference, parse_repository
from registry.store.file_locks import ExclusiveLocks
from registry.store.files import translate_errors, write_durably
from registry.store.small_files import parse_time, put_aside, read_small_json
from registry.tasks import in_thread

PinRequest = tuple[Repository, Reference, Sequence[Root]]  # an image, and the manifests to keep
PINS = "pins"  # the lock for changes of pins, and for removals of images, which pins must not keep


class Pins:
    """Puts, removes, lists and restores pins."""

    def __init__(
        self, database: Database, path: Path, locks: ExclusiveLocks, clock: Callable[[], float]
    ) -> None:
        """`path` is the path of `pins.json`."""
        self._database = database
        self._path = path
        self._locks = locks
        self._clock = clock
        self._log = get_logger("registry.content")

    def list_all(self) -> list[Pin]:
        """Return every pin, by name.

        Raises:
            StoreError: the catalog refused.
        """
        return list_pins(self._database)

    async def list_stored(self, requests: Iterable[PinRequest]) -> frozenset[str]:
        """Return the digests of the stored blobs that pins of these manifests would keep.

        Raises:
            StoreError: the catalog refused.
        """
        pins = self._make(requests)
        return await self._database.survey(lambda rows: list_stored(rows, pins))

    def _make(self, requests: Iterable[PinRequest]) -> list[Pin]:
        now = self._clock()
        return [Pin(where, what, tuple(roots), now) for where, what, roots in requests]

    async def put(self, requests: Iterable[PinRequest], stored: Collection[str] = ()) -> None:
        """Pin images to these manifests; earlier pins with the same names are replaced.

        The process writes the file first and the rows second. `stored` are digests from
        `list_stored`. After the return, all of these blobs are kept: a deletion looks at pins in
        the transaction that deletes the row of a blob, even if it was planned before.

        Raises:
            StoreError: the catalog or the disk refused, or another process has held the lock of
                pins for too long: then nothing is pinned. Or blobs in `stored` were deleted before
                the rows were written: then the images are pinned, and a missing blob is kept after
                it is pulled again.
        """
        pins = self._make(requests)
        names = {(pin.repository, pin.reference) for pin in pins}
        async with self._locks.hold(PINS):
            await self._write_file([*self._list_without(names), *pins])
            kept = await self._database.write(lambda rows: put_pins(rows, pins))
        if lost := set(stored) - kept:
            raise StoreError(
                _name(pins),
                f"pinned, but {len(lost)} of the blobs were deleted before the pin was recorded;"
                f" download them again with: entrepot images refresh {_name(pins, ' ')}",
            )

    async def remove(self, names: Iterable[tuple[Repository, Reference]]) -> int:
        """Unpin images, and return how many of them were pinned under these names.

        The process writes the file first and the rows second.

        Raises:
            StoreError: the catalog or the disk refused, or another process has held the lock of
                pins for too long; the images are still pinned.
        """
        gone = set(names)
        async with self._locks.hold(PINS):
            await self._write_file(self._list_without(gone))
            return await self._database.write(lambda rows: remove_pins(rows, gone))

    def _list_without(self, names: Collection[tuple[Repository, Reference]]) -> list[Pin]:
        return [pin for pin in self.list_all() if (pin.repository, pin.reference) not in names]

    async def _write_file(self, pins: Iterable[Pin]) -> None:
        """Replace `pins.json` durably, on a full disk with the catalog's spare bytes.

        Raises:
            StoreError: the disk refused; the file was not changed.
        """
        described = json.dumps([_describe(pin) for pin in pins], indent=1).encode()
        with translate_errors(self._path):
            await in_thread(self._database.spare.use, lambda: write_durably(self._path, described))

    async def restore(self) -> int:
        """Insert the pins of the file into a new catalog, and return their number.

        If a pin cannot be read, that is logged, and the others are restored.

        Raises:
            StoreError: the catalog refused, or another process has held the lock of pins for too
                long.
        """
        async with self._locks.hold(PINS):
            pins = list(self._parse_all(await in_thread(_read_file, self._path)))
            await self._database.write(lambda rows: put_pins(rows, pins))
        return len(pins)

    def _parse_all(self, described: Iterable[object]) -> Iterator[Pin]:
        for fields in described:
            try:
                yield _parse(fields)
            except (InvalidInput, AttributeError, KeyError, TypeError, ValueError) as error:
                self._log.error("pin not restored", why=str(error) or type(error).__name__)


def _name(pins: Sequence[Pin], between: str = ", ") -> str:
    """Return the names of the first three pins."""
    shown = between.join(pin.name for pin in pins[:3])
    return shown if len(pins) <= 3 else f"{shown}{between}..."


def _describe(pin: Pin) -> dict[str, Any]:
    roots = [
        {"digest": str(root.digest), "deep": root.is_deep, "platform": root.platform}
        for root in pin.roots
    ]
    return {
        "repository": str(pin.repository),
        "reference": str(pin.reference),
        "made": pin.made,
        "roots": roots,
    }


def _parse(fields: Any) -> Pin:
    roots = tuple(
        Root(Digest.parse(root["digest"]), bool(root["deep"]), str(root["platform"]))
        for root in fields["roots"]
    )
    repository = parse_repository(fields["repository"])
    return Pin(repository, parse_reference(fields["reference"]), roots, parse_time(fields["made"]))


def _read_file(path: Path) -> list[object]:
    """Return the pins in the file; empty if the file is missing or damaged.

    A damaged file is logged and renamed.
    """
    why = "it is not a list"
    try:
        described = read_small_json(path)
    except OSError:
        return []
    except ValueError as error:
        described, why = None, str(error)
    if isinstance(described, list):
        return described
    put_aside(path, why)
    return []


def copy_list_file(source: Path, target: Path) -> None:
    """Copy `pins.json` or `imports.json` durably to another data folder, and wait for the disk.

    A file that is missing becomes an empty list.

    Raises:
        StoreError: the disk refused.
    """
    with translate_errors(target):
        write_durably(target, source.read_bytes() if source.exists() else b"[]")
