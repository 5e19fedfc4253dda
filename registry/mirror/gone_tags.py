"""Tags that are known here, and that their upstream does not have any more."""

from collections.abc import Callable

from registry.catalog.manifests import ManifestCatalog
from registry.errors import StoreError
from registry.logs import get_logger
from registry.oci.names import Reference, Repository, Tag


class GoneTags:
    """Records which tags an upstream did not have when it was asked."""

    def __init__(self, catalog: ManifestCatalog, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._clock = clock
        self._log = get_logger("registry.mirror")

    async def note(self, repository: Repository, reference: Reference) -> None:
        """Note that the upstream has just said that it does not have a reference.

        A tag that is not known here is not recorded, and one that was recorded already is not
        written again: clients can ask for any tag. If the catalog refuses, the log says so.
        """
        if not isinstance(reference, Tag):
            return
        try:
            record = self._catalog.find_tag(repository, reference)
            if record is not None and not record.gone:
                await self._catalog.note_gone(repository, reference, self._clock())
        except StoreError as error:  # the next question finds it again
            self._log.warning("tag that is gone not recorded", why=str(error))
