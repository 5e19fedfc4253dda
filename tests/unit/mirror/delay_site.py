"""A mirror with a clock of its own, before an upstream whose tag a test moves."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from registry.catalog.eviction_order import StoredBlobRecord
from registry.catalog.last_used import LastUsedCatalog
from registry.content.expiry import Expiry
from registry.content.tag_control import TagControl
from registry.mirror.manifests import ServedManifest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference
from registry.store.data_folder import open_folder
from tests.fakes.source import MemorySource, Tap
from tests.harness.process_parts import open_parts
from tests.unit.mirror.manifest_site import HERE, TAG, make

DAY = 86_400.0
WEEK = 7 * DAY
START = 100 * DAY
FIRST, SECOND, THIRD = make("first"), make("second"), make("third")


class DelaySite:
    """A data folder, one process on it, and its upstream; `restart` makes another process."""

    def __init__(self, path: Path, table: dict[str, object]) -> None:
        self.folder = open_folder(path)
        self.source = MemorySource(Tap())
        self.now = START
        self._table = table
        self._stack = AsyncExitStack()

    async def restart(self, *, offline: bool = False) -> None:
        """End the process, and begin another one."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()
        self.parts = await open_parts(
            self._stack,
            self.folder,
            sources={HERE.registry: self.source},
            clock=lambda: self.now,
            table=self._table,
            offline=offline,
        )

    async def lose_catalog(self) -> None:
        """End the process, lose the catalog, make it again, and begin another process."""
        await self._stack.aclose()
        for path in self.folder.root.glob("catalog.db*"):
            path.unlink()
        await self.restart()
        await self.parts.content.rebuild.recover(self.now)

    async def close(self) -> None:
        """End the process."""
        await self._stack.aclose()

    def move(self, manifest: Manifest) -> None:
        """Let the tag of the upstream lead to a manifest, which it also has by digest."""
        self.source.manifests[HERE.name, str(TAG)] = manifest
        self.source.manifests[HERE.name, str(manifest.digest)] = manifest

    @property
    def is_down(self) -> bool:
        """Whether the upstream does not answer."""
        return self.source.tap.is_down

    @is_down.setter
    def is_down(self, value: bool) -> None:
        self.source.tap.is_down = value

    async def pull(self, reference: Reference = TAG) -> ServedManifest:
        """Pull by the tag, or by a digest, as a client does."""
        return await self.parts.manifests.get(HERE, reference, None)

    async def see(self, after: float = 0.0) -> tuple[Manifest, bool]:
        """Pull by the tag after some seconds; return what is served, and whether with a warning."""
        self.now += after
        served = await self.pull()
        return served.manifest, bool(served.warning)

    def look_for_changes(self) -> None:
        """Let the process see what commands have changed, as it does each second."""
        self.parts.manifests._cache.look_for_changes()

    async def delete(self, manifest: Manifest) -> None:
        """Delete the bytes of a manifest, as an eviction does, and begin another process."""
        query = "SELECT size, used FROM blobs WHERE digest = ?"
        (row,) = self.parts.database.read(query, (str(manifest.digest),))
        await self.parts.content.evictor.delete([StoredBlobRecord(manifest.digest, *row)])
        await self.restart()

    async def expire(self, *, after: float, keep_for: float = WEEK) -> None:
        """Let images expire that nobody has pulled for a while, and begin another process."""
        self.now += after
        content, uses = self.parts.content, LastUsedCatalog(self.parts.database)
        await Expiry(uses, content.deletion, {"*": keep_for}, lambda: self.now).expire()
        assert not self.parts.database.read("SELECT 1 FROM holdings")
        await self.restart()

    @property
    def control(self) -> TagControl:
        """What the commands of operators use."""
        content = self.parts.content
        return TagControl(content.manifests, content.images, lambda: self.now)

    async def roll_back(self, manifest: Manifest) -> None:
        """Roll the tag back by the command, and let the process see it."""
        await self.control.roll_back(HERE, TAG, manifest.digest)
        self.look_for_changes()

    async def end_rollback(self) -> None:
        """Let the tag follow its upstream by the command, and let the process see it."""
        await self.control.end_rollback(HERE, TAG)
        self.look_for_changes()

    async def list_pinned(self) -> list[str]:
        """Return the names of all pins."""
        return [pin.name for pin in self.parts.content.images.list_pins()]


@asynccontextmanager
async def open_delay_site(path: Path, **table: object) -> AsyncIterator[DelaySite]:
    """Open a mirror whose upstream has these settings."""
    site = DelaySite(path, dict(table))
    await site.restart()
    try:
        yield site
    finally:
        await site.close()


__all__ = [
    "DAY",
    "FIRST",
    "HERE",
    "SECOND",
    "START",
    "TAG",
    "THIRD",
    "WEEK",
    "DelaySite",
    "open_delay_site",
]
