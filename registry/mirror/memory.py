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
        self._trusted: set[tuple[Repository, Reference]] = set()

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
        self._trusted.add(key)
        self._used += _cost(known)
        while self._used > self._limit:
            self._drop(next(iter(self._entries)))

    def trusts(self, repository: Repository, reference: Reference) -> bool:
        """Whether nothing was doubted since this was put."""
        return (repository, reference) in self._trusted

    def doubt(self) -> None:
        """Trust nothing any more: what a reference leads to may have changed, not manifests."""
        self._trusted.clear()

    def _drop(self, key: tuple[Repository, Reference]) -> None:
        self._trusted.discard(key)
        former = self._entries.pop(key, None)
        if former is not None:
            self._used -= _cost(former)


def _cost(known: Known) -> int:
    manifest = known.manifest
    linked = len(manifest.children) + len(manifest.blobs)
    return OVERHEAD + len(manifest.raw) + 400 * linked
