"""Where an ingest writes a blob, and what it has stored at its end."""

import asyncio
from dataclasses import dataclass, field

from registry.content.account import SpaceAccount
from registry.oci.digest import Digest
from registry.store.contract import BlobStore
from registry.store.ingests import Ingests

MOST_RESUMING = 2  # ingests of one process that hash what is on the disk at a time


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob that was stored: it is verified, durable, and visible to every process."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an ingest writes: to a partial file, then to the store; `space` counts the bytes.

    Who hashes the bytes of an earlier writer holds `resuming`: many that do so at a time would use
    all threads for a minute, and healthy downloads could give no sign of life.
    """

    ingests: Ingests
    store: BlobStore
    space: SpaceAccount
    resuming: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_RESUMING))
