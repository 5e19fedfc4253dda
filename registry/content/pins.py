"""Pins, in the catalog and in a file from which a lost catalog gets them back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog

from registry.catalog.pins import Pin, PinCatalog, Root
from registry.content.eviction import EVICTION
from registry.errors import InvalidInput
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, parse_reference, parse_repository
from registry.store.blocking import in_thread
from registry.store.file_locks import Locks
from registry.store.pins import PinFile


class Pins:
    """Puts, removes and restores pins."""

    def __init__(
        self, catalog: PinCatalog, file: PinFile, locks: Locks, clock: Callable[[], float]
    ) -> None:
        self._catalog = catalog
        self._file = file
        self._locks = locks
        self._clock = clock
        self._log = structlog.get_logger("registry.mirror")

    def list_all(self) -> list[Pin]:
        """Return every pin, by name."""
        return self._catalog.list_all()

    async def put(self, wanted: Iterable[tuple[Repository, Reference, Sequence[Root]]]) -> None:
        """Pin images to these manifests, and to no others under these names.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        now = self._clock()
        pins = [Pin(where, what, tuple(roots), now) for where, what, roots in wanted]
        async with self._locks.hold(EVICTION):  # what is pinned now is in nobody's plan any more
            await self._catalog.put(pins)
        await self._write()

    async def remove(self, names: Iterable[tuple[Repository, Reference]]) -> int:
        """Unpin images, and return how many of them were pinned under these names.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        count = await self._catalog.remove(names)
        await self._write()
        return count

    async def _write(self) -> None:
        async with self._locks.hold("pins"):  # else another process's older list could be the last
            await in_thread(self._file.write, [_describe(pin) for pin in self.list_all()])

    async def restore(self) -> int:
        """Put the pins of the file into a catalog that was lost, and return how many.

        Raises:
            StoreError: the catalog refused.
        """
        pins = []
        for fields in await in_thread(self._file.read):
            try:
                pins.append(_read(fields))
            except (InvalidInput, AttributeError, KeyError, TypeError, ValueError) as error:
                self._log.error("pin not restored", why=repr(error))
        await self._catalog.put(pins)
        return len(pins)


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


def _read(fields: Mapping[str, Any]) -> Pin:
    roots = tuple(
        Root(Digest.parse(root["digest"]), bool(root["deep"]), str(root["platform"]))
        for root in fields["roots"]
    )
    repository = parse_repository(fields["repository"])
    return Pin(repository, parse_reference(fields["reference"]), roots, float(fields["made"]))
