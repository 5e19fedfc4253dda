"""Pins, in the catalog and in a file from which a lost catalog gets them back."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog

from registry.catalog.pins import Pin, PinCatalog, Root
from registry.errors import InvalidInput, StoreError
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, parse_reference, parse_repository
from registry.store.blocking import in_thread
from registry.store.file_locks import ExclusiveLocks
from registry.store.pins import PinFile

Wanted = tuple[Repository, Reference, Sequence[Root]]
PINS = "pins"  # the lock under which pins change, and images are removed that no pin may keep


class Pins:
    """Puts, removes and restores pins."""

    def __init__(
        self, catalog: PinCatalog, file: PinFile, locks: ExclusiveLocks, clock: Callable[[], float]
    ) -> None:
        self._catalog = catalog
        self._file = file
        self._locks = locks
        self._clock = clock
        self._log = structlog.get_logger("registry.mirror")

    def list_all(self) -> list[Pin]:
        """Return every pin, by name."""
        return self._catalog.list_all()

    async def list_stored(self, wanted: Iterable[Wanted]) -> frozenset[str]:
        """Return the digests of the stored blobs that pins of these manifests would keep.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._catalog.list_stored(self._make(wanted))

    def _make(self, wanted: Iterable[Wanted]) -> list[Pin]:
        now = self._clock()
        return [Pin(where, what, tuple(roots), now) for where, what, roots in wanted]

    async def put(self, wanted: Iterable[Wanted], stored: Collection[str] = ()) -> None:
        """Pin images to these manifests, and to no others under these names.

        The process writes the file first and the rows second. Once this returns, every blob in
        `stored`, digests from `list_stored`, is kept: a deletion looks at pins in the transaction
        in which it forgets a blob, so that a deletion which was planned before cannot take it.

        Raises:
            StoreError: the catalog or the disk refused, or another process has held the lock of
                pins for too long; nothing is pinned. Or blobs in `stored` were deleted before
                the rows were written. Then the images are pinned, and what is missing is kept from
                when it is pulled again.
        """
        pins = self._make(wanted)
        names = {(pin.repository, pin.reference) for pin in pins}
        async with self._locks.hold(PINS):
            await self._write([*self._list_without(names), *pins])
            lost = set(stored) - await self._catalog.put(pins)
        if lost:
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
            await self._write(self._list_without(gone))
            return await self._catalog.remove(gone)

    def _list_without(self, names: Collection[tuple[Repository, Reference]]) -> list[Pin]:
        return [pin for pin in self.list_all() if (pin.repository, pin.reference) not in names]

    async def _write(self, pins: Iterable[Pin]) -> None:
        await in_thread(self._file.write, [_describe(pin) for pin in pins])

    async def restore(self) -> int:
        """Put the pins of the file into a catalog that was lost, and return how many.

        Raises:
            StoreError: the catalog refused.
        """
        async with self._locks.hold(PINS):
            pins = list(self._read_all(await in_thread(self._file.read)))
            await self._catalog.put(pins)
        return len(pins)

    def _read_all(self, described: Iterable[Mapping[str, Any]]) -> Iterator[Pin]:
        for fields in described:
            try:
                yield _read(fields)
            except (InvalidInput, AttributeError, KeyError, TypeError, ValueError) as error:
                self._log.error("pin not restored", why=repr(error))


def _name(pins: Sequence[Pin], between: str = ", ") -> str:
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


def _read(fields: Mapping[str, Any]) -> Pin:
    roots = tuple(
        Root(Digest.parse(root["digest"]), bool(root["deep"]), str(root["platform"]))
        for root in fields["roots"]
    )
    repository = parse_repository(fields["repository"])
    return Pin(repository, parse_reference(fields["reference"]), roots, float(fields["made"]))
