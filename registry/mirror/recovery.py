"""A catalog that was lost, made again from the files that it was an index of."""

from dataclasses import dataclass

import structlog

from registry.catalog.manifests import ManifestCatalog
from registry.catalog.room import RoomCatalog
from registry.mirror.intake import Intake
from registry.oci.digest import Digest
from registry.oci.names import Tag
from registry.store.blobs import BlobStore
from registry.store.references import ReferenceFiles

BATCH = 1000  # blobs recorded in one transaction


@dataclass(frozen=True, slots=True)
class Recovered:
    """How much is known again; `lost` are names whose manifests are not on disk any more."""

    names: int
    blobs: int
    lost: int


async def recover(
    references: ReferenceFiles,
    store: BlobStore,
    intake: Intake,
    *,
    manifests: ManifestCatalog,
    room: RoomCatalog,
    now: float,
) -> Recovered:
    """Record what is on disk, where the catalog does not know it; harmless where it does.

    What upstreams said repositories have, and when images were pulled, is not on disk: the first is
    asked again, the second begins `now`.

    Raises:
        StoreError: the disk or the catalog refused.
    """
    log = structlog.get_logger("registry.mirror")
    log.warning("recovering the catalog from the files")
    blobs = await _recover_blobs(store, room, now)
    names = lost = 0
    async for repository, reference, pointer in references.scan():
        manifest = await intake.recall(Digest.parse(pointer.digest), pointer.media_type)
        if manifest is None:
            lost += 1
            continue
        tag = reference if isinstance(reference, Tag) else None
        await manifests.record(repository, manifest, tag, pointer.seen)
        names += 1
    recovered = Recovered(names, blobs, lost)
    log.warning("catalog recovered", names=names, blobs=blobs, lost=lost)
    return recovered


async def _recover_blobs(store: BlobStore, room: RoomCatalog, now: float) -> int:
    count = 0
    batch: list[tuple[Digest, int]] = []
    async for found in store.scan():
        batch.append(found)
        if len(batch) == BATCH:
            await room.record_found(batch, now)
            count, batch = count + BATCH, []
    await room.record_found(batch, now)
    return count + len(batch)
