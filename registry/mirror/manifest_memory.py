"""Manifests kept in memory: least recently used first out, bounded in bytes."""

from collections import OrderedDict
from dataclasses import dataclass

from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository

OVERHEAD = 2048  # bytes an entry costs beside the manifest's own, roughly


@dataclass(frozen=True, slots=True)
class Known:
    """A manifest that a reference leads to, and when an upstream last said so (epoch seconds)."""

    manifest: Manifest
    checked: float


@dataclass(frozen=True, slots=True)
class _Entry:
    known: Known
    doubts: int  # how often everything had been doubted when this was put


class ManifestMemory:
    """What this process remembers; whatever is in here is also known to the catalog."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._entries: OrderedDict[tuple[Repository, Reference], _Entry] = OrderedDict()
        self._doubts = 0

    def get(self, repository: Repository, reference: Reference) -> Known | None:
        """Return what is remembered, and remember that it was asked for."""
        entry = self._find(repository, reference)
        return entry.known if entry else None

    def get_trusted(self, repository: Repository, reference: Reference) -> Known | None:
        """Return, as `get`, what was put since the last doubt."""
        entry = self._find(repository, reference)
        return entry.known if entry and entry.doubts == self._doubts else None

    def _find(self, repository: Repository, reference: Reference) -> _Entry | None:
        key = (repository, reference)
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, repository: Repository, reference: Reference, known: Known) -> None:
        """Remember, and forget what was not asked for the longest."""
        key = (repository, reference)
        self._drop(key)
        self._entries[key] = _Entry(known, self._doubts)
        self._used += _cost(known)
        while self._used > self._limit:
            self._drop(next(iter(self._entries)))

    def doubt(self) -> None:
        """Trust nothing any more: what a reference leads to may have changed, not manifests."""
        self._doubts += 1

    def _drop(self, key: tuple[Repository, Reference]) -> None:
        former = self._entries.pop(key, None)
        if former is not None:
            self._used -= _cost(former.known)


def _cost(known: Known) -> int:
    manifest = known.manifest
    linked = len(manifest.children) + len(manifest.blobs)
    return OVERHEAD + len(manifest.raw) + 400 * linked
