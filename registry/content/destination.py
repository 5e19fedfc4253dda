"""Where an ingest writes a blob, and what it has stored at its end."""

from dataclasses import dataclass

from registry.content.account import SpaceAccount
from registry.oci.digest import Digest
from registry.store.contract import BlobStore
from registry.store.ingests import Ingests


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob that was stored: it is verified, durable, and visible to every process."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an ingest writes: to a partial file, then to the store; `space` counts the bytes."""

    ingests: Ingests
    store: BlobStore
    space: SpaceAccount
