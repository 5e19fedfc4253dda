"""A data folder whose ingests a test opens, and what they store."""

from pathlib import Path

from registry.content.ingest import Ingest
from registry.oci.digest import Digest
from registry.store.contract import Quarantine
from registry.store.data_folder import open_folder
from registry.wiring.content import open_handles
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts

CONTENT = bytes(range(256)) * 40
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class CountingSpace(AmpleSpace):
    """An account that remembers every reservation."""

    def __init__(self, store: Quarantine) -> None:
        super().__init__(store)
        self.reserved: list[int] = []

    async def reserve(self, digest: Digest, size: int) -> None:
        await super().reserve(digest, size)
        self.reserved.append(size)


class Site:
    """A data folder, and one process that stores blobs."""

    def __init__(self, path: Path) -> None:
        handles = open_handles(open_folder(path))
        self.space = CountingSpace(handles.store)
        self.folder, self.store, self.ingests = handles.folder, handles.store, handles.ingests
        self.content = ProcessParts(handles, space=self.space).content.content

    def take(self, digest: Digest = DIGEST) -> Ingest:
        ingest = self.content.try_ingest(digest)
        assert ingest is not None
        return ingest

    @property
    def is_free(self) -> bool:
        """Whether no process holds the lock of the blob."""
        with self.ingests.hold(DIGEST) as is_free:
            return is_free

    def list_files(self) -> list[str]:
        return sorted(path.suffix for path in self.folder.ingests.iterdir())
