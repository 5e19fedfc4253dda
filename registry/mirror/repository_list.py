"""The list of the repositories that are stored, page by page, for a client that may see some.

Those that a client may not see cost as much as the others. So a page is made in short steps,
between which other requests are answered; one page at a time; and only so many repositories are
looked at.
"""

import asyncio
from dataclasses import dataclass

from registry.catalog.manifests import ManifestCatalog
from registry.mirror.mirror_rules import MaySee
from registry.oci.pagination import Page, cut_page

STEP = 25  # repositories that are looked at without a break: a fraction of a millisecond
REST = 0.001  # seconds between two steps, so that lists take less than half of a worker
MOST = 50_000  # that are looked at for one page


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """A page; `warning` says why repositories after it are missing."""

    page: Page
    warning: str = ""


class RepositoryList:
    """Lists repositories that have a manifest, by their names with the registry."""

    def __init__(self, manifests: ManifestCatalog, step: int = STEP, most: int = MOST) -> None:
        self._manifests = manifests
        self._step = step
        self._most = most
        self._turn = asyncio.Lock()

    async def find_page(self, count: int, last: str | None, may_see: MaySee) -> RepositoryPage:
        """Return up to `count` repositories after the name `last` that a client may see.

        If too many have to be looked at, the page is shorter. The next one begins after the last
        name that the client may see. If there is none, no name can be told where to go on, and the
        page has a warning.

        Raises:
            StoreError: the catalog refused.
        """
        seen: list[str] = []
        after, looked_at = last or "", 0
        async with self._turn:
            while count and len(seen) <= count and looked_at < self._most:
                found = self._manifests.list_repositories(after, self._step)
                seen += (each for each in found if may_see(each, None))
                if len(found) < self._step:
                    return RepositoryPage(cut_page(seen, count, last))
                after, looked_at = found[-1], looked_at + len(found)
                await asyncio.sleep(REST)
        if not count or len(seen) > count:
            return RepositoryPage(cut_page(seen, count, last))
        if seen:
            return RepositoryPage(Page(tuple(seen), seen[-1]))
        warning = (
            f"the list ends here: none of the next {self._most} repositories is visible to you;"
            " for those after a certain name, send it as last="
        )
        return RepositoryPage(Page((), None), warning)
