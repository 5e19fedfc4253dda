"""The spool: blobs still arriving, found by digest, from any process."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.store.locks import take_lock
from registry.store.part import PartReader, PartWriter


@dataclass(frozen=True, slots=True)
class Waybill:
    """What the writer of a part learnt when the upstream opened; `size` in bytes if it said so.

    `accused` are the endpoints that sent wrong bytes before: whoever fetches next asks them last.
    """

    size: int | None
    repository: str
    endpoint: str
    started: float
    accused: Sequence[str] = ()


class Spool:
    """The folder of parts. Methods block for a moment only (open, lock, stat)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, digest: Digest) -> PartWriter | None:
        """Become the writer of a part, new or left behind; None while someone else is.

        Raises:
            OSError: the disk refuses parts.
        """
        path = self._path(digest, "part")
        descriptor = take_lock(path)
        return None if descriptor is None else PartWriter(path, digest, descriptor)

    def open(self, digest: Digest) -> PartReader | None:
        """Open a part for reading; None when there is none."""
        try:
            return PartReader(self._path(digest, "part"))
        except FileNotFoundError:
            return None

    def measure(self, digest: Digest) -> int:
        """Return the bytes that the part of a blob takes; 0 when there is none."""
        try:
            return self._path(digest, "part").stat().st_size
        except FileNotFoundError:
            return 0

    def is_written(self, digest: Digest) -> bool:
        """Whether some process is writing the part of a blob."""
        path = self._path(digest, "part")
        if not path.exists():
            return False
        descriptor = take_lock(path)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None

    def drop(self, digest: Digest) -> None:
        """Throw a part away that nobody writes; whoever begins to just now keeps it."""
        path = self._path(digest, "part")
        descriptor = take_lock(path)
        if descriptor is not None:
            path.unlink(missing_ok=True)
            self.forget(digest)
            os.close(descriptor)

    def announce(self, digest: Digest, waybill: Waybill) -> None:
        """Tell the other processes what is arriving.

        Raises:
            StoreError: the disk refused.
        """
        path = self._path(digest, "json")
        temporary = path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(asdict(waybill)), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise StoreError(str(path), error.strerror or str(error)) from error

    def waybill(self, digest: Digest) -> Waybill | None:
        """Return what the writer announced; None when it has not (yet)."""
        try:
            return Waybill(**json.loads(self._path(digest, "json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def forget(self, digest: Digest) -> None:
        """Drop the announcement of a part that is whole; only its writer may."""
        self._path(digest, "json").unlink(missing_ok=True)

    def _path(self, digest: Digest, kind: str) -> Path:
        return self._folder / f"{digest.algorithm}-{digest.encoded}.{kind}"
