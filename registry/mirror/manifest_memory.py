"""Parsed manifests in the memory of one process."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from registry.catalog.tag_hold import NO_HOLD, TagHold
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository

OVERHEAD = 2048  # bytes that an entry takes besides the manifest itself, roughly


@dataclass(frozen=True, slots=True)
class KnownManifest:
    """The manifest that a reference leads to, and when this was last confirmed (epoch s).

    `warning` is what clients are told about it: that it is doubtful whether a tag leads to it.
    `hold` says whether the tag leads to something else upstream.
    """

    manifest: Manifest
    checked: float
    warning: str = ""
    hold: TagHold = NO_HOLD


@dataclass(frozen=True, slots=True)
class _Remembered:
    known: KnownManifest
    generation: int  # the generation when the catalog was read


class ManifestMemory:
    """Parsed manifests, bounded in bytes; the least recently used ones are removed first.

    Manifests never change, but the manifest that a tag leads to does. So each entry belongs to a
    generation, and only entries of the current generation are served without asking the catalog.
    """

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self._used = 0
        self._entries: OrderedDict[tuple[Repository, Reference], _Remembered] = OrderedDict()
        self._generation = 0

    @property
    def generation(self) -> int:
        """The current generation; callers read it before they read the catalog."""
        return self._generation

    def get(self, repository: Repository, reference: Reference) -> KnownManifest | None:
        """Return an entry of any generation, and mark it as used."""
        entry = self._find(repository, reference)
        return entry.known if entry else None

    def get_current(self, repository: Repository, reference: Reference) -> KnownManifest | None:
        """Return an entry of the current generation, and mark it as used."""
        entry = self._find(repository, reference)
        return entry.known if entry and entry.generation == self._generation else None

    def _find(self, repository: Repository, reference: Reference) -> _Remembered | None:
        key = (repository, reference)
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(
        self, repository: Repository, reference: Reference, known: KnownManifest, generation: int
    ) -> None:
        """Add or replace an entry, and remove the least recently used ones beyond the limit.

        `generation` is the generation before the catalog was read or written. If a change was
        noticed after that, the entry may be out of date, and has an old generation.
        """
        key = (repository, reference)
        self._remove(key)
        self._entries[key] = _Remembered(known, generation)
        self._used += _measure(known)
        while self._used > self._limit:
            self._remove(next(iter(self._entries)))

    def __contains__(self, key: tuple[Repository, Reference]) -> bool:
        """Whether there is an entry; it does not count as used."""
        return key in self._entries

    def find_all(self, digests: Collection[Digest]) -> dict[Digest, Manifest]:
        """Return those of these manifests that are in memory; they do not count as used."""
        manifests = (entry.known.manifest for entry in self._entries.values())
        return {each.digest: each for each in manifests if each.digest in digests}

    def begin_generation(self) -> None:
        """Make all entries old: each is compared with the catalog before it is served again."""
        self._generation += 1

    def _remove(self, key: tuple[Repository, Reference]) -> None:
        former = self._entries.pop(key, None)
        if former is not None:
            self._used -= _measure(former.known)


def _measure(known: KnownManifest) -> int:
    """Return how many bytes of memory an entry takes, roughly."""
    manifest = known.manifest
    linked = len(manifest.children) + len(manifest.blobs)
    return OVERHEAD + len(manifest.raw) + 400 * linked
