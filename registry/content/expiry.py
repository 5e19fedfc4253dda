"""Removal of images that no client has pulled for as long as `storage.keep_for` says."""

import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from registry.catalog.last_used import LastUsedCatalog, LastUses
from registry.content.deletion import ImageDeletion
from registry.errors import ImageInUse, ImagePinned
from registry.logs import get_logger
from registry.oci.digest import Digest
from registry.oci.names import Repository


def find_expired(
    uses: LastUses, keep_for: Mapping[str, float], now: float
) -> list[tuple[Repository, Digest]]:
    """Return the manifests that were not used for longer than `keep_for` allows. Pure.

    `keep_for` has seconds by pattern of repositories. A pull of an index also counts for its
    manifests, and the other way round, since clients may pull only one of them. A use in the future
    keeps an image: while a machine starts, its clock may be years behind, and that must not delete
    everything.
    """
    last = dict(uses.last)
    holders: dict[Digest, set[Repository]] = {}
    for repository, digest in last:
        holders.setdefault(digest, set()).add(repository)
    is_stable = False
    while not is_stable:  # two rounds; more if an index lists an index
        is_stable = True
        for parent, child in uses.indexes:
            for repository in holders.get(parent, set()) & holders.get(child, set()):
                both = ((repository, parent), (repository, child))
                newest = max(last[each] for each in both)
                is_stable &= all(last[each] == newest for each in both)
                last.update(dict.fromkeys(both, newest))
    return [
        (repository, digest)
        for (repository, digest), used in last.items()
        if now - used > choose_period(keep_for, repository)
    ]


def choose_period(keep_for: Mapping[str, float], repository: Repository) -> float:
    """Return how many seconds images of a repository are kept, by the longest matching pattern."""
    matching = [pattern for pattern in keep_for if fnmatchcase(str(repository), pattern)]
    return keep_for[max(matching, key=len)] if matching else math.inf


class Expiry:
    """Removes expired images, except pinned ones and those that were pulled again."""

    def __init__(
        self,
        uses: LastUsedCatalog,
        removals: ImageDeletion,
        keep_for: Mapping[str, float],
        clock: Callable[[], float],
    ) -> None:
        self._uses = uses
        self._removals = removals
        self._keep_for = keep_for
        self._clock = clock
        self._log = get_logger("registry.content")

    @property
    def is_wanted(self) -> bool:
        """Whether `storage.keep_for` has any pattern."""
        return bool(self._keep_for)

    async def expire(self) -> None:
        """Remove every image that has expired.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        uses, now = await self._uses.list_all(), self._clock()
        for repository, digest in find_expired(uses, self._keep_for, now):
            period = choose_period(self._keep_for, repository)
            removals = (await self._removals.plan([(repository, digest)])).removals
            if not (removals and removals[0].manifests):
                continue  # it is pinned, or already removed, or an index that stays lists it
            try:
                freed = await self._removals.expire(removals[0], now - period, self._clock())
            except (ImagePinned, ImageInUse):
                continue
            self._log.info("image expired", image=f"{repository}@{digest}", bytes=freed)
