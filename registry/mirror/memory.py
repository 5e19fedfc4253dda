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


class ManifestMemory:
    """What this process remembers; whatever is in here is also known to the catalog."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._entries: OrderedDict[tuple[Repository, Reference], Known] = OrderedDict()

    def get(self, repository: Repository, reference: Reference) -> Known | None:
        """Return what is remembered, and remember that it was asked for."""
        key = (repository, reference)
        known = self._entries.get(key)
        if known is not None:
            self._entries.move_to_end(key)
        return known

    def put(self, repository: Repository, reference: Reference, known: Known) -> None:
        """Remember, and forget what was not asked for the longest."""
        key = (repository, reference)
        self._drop(key)
        self._entries[key] = known
        self._used += _cost(known)
        while self._used > self._limit:
            self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._used = 0

    def _drop(self, key: tuple[Repository, Reference]) -> None:
        former = self._entries.pop(key, None)
        if former is not None:
            self._used -= _cost(former)


def _cost(known: Known) -> int:
    manifest = known.manifest
    linked = len(manifest.children) + len(manifest.blobs)
    return OVERHEAD + len(manifest.raw) + 400 * linked
