"""A blob whose parts come in any order, each with a digest: a file with holes, and a record.

Readers cannot follow this file, because it has holes (see `partial.py`). The record says which
bytes are on the disk and agree with the digest of their part. All other bytes of the file count as
missing, so the next writer can continue after a crash at any point.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from registry.errors import DigestMismatch, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.files import open_new, sync_folder, take_lock, translate_errors
from registry.store.partial import WHOLE, PartialWriter, SealedPartial
from registry.store.small_files import read_small_json

_READ = 1024 * 1024  # bytes read at a time when the whole is hashed


def find_gaps(wanted: Span, kept: Sequence[Span]) -> list[Span]:
    """Return the bytes of `wanted` that are in no span of `kept` (sorted, without overlaps)."""
    gaps, start = [], wanted.start
    for each in kept:
        if each.start > start:
            gaps.append(Span(start, min(each.start, wanted.stop)))
        start = max(start, each.stop)
    gaps.append(Span(start, wanted.stop))
    return [each for each in gaps if each.length > 0]


def join_spans(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap or touch; return the fewest spans with the same bytes, sorted."""
    joined: list[Span] = []
    for each in sorted(spans):
        if joined and each.start <= joined[-1].stop:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, each.stop))
        else:
            joined.append(each)
    return joined


def read_record(path: Path, whole: int, size: int) -> list[Span]:
    """Return which bytes of a blob of `whole` bytes are in the file `path`, which has `size` bytes.

    The result is empty if there is no record, or if the record does not agree with the file.
    """
    try:
        fields: Any = read_small_json(_name_record(path))
        kept = join_spans(Span(int(start), int(stop)) for start, stop in fields["kept"])
        is_right = fields["whole"] == whole
    except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
        return []
    is_right = is_right and all(0 <= each.start < each.stop <= size for each in kept)
    return kept if is_right else []


def _name_record(path: Path) -> Path:
    return path.with_suffix(".ranges")


class SparsePartial:
    """The only writer of a blob of `size` bytes whose parts come in any order.

    All methods block (disk, hashing): call them in a thread, one at a time.
    """

    def __init__(self, path: Path, digest: Digest, size: int, lock: PartialWriter) -> None:
        """Continue with the parts that an earlier writer has written.

        `lock` is the writer of the blob's ordinary partial file. It prevents downloads of the blob
        until this writer closes it.

        Raises:
            OSError: the disk refuses files.
        """
        descriptor = take_lock(path)
        if descriptor is None:
            why = "is locked, though only the writer of the blob may lock it; try again"
            raise StoreError(str(path), why)
        self._path = path
        self._digest = digest
        self._size = size
        self._lock = lock
        self._descriptor = descriptor
        self._hasher, self._hashed = digest.hasher(), 0  # of the bytes written in order
        self._kept = read_record(path, size, os.fstat(descriptor).st_size)

    @property
    def missing(self) -> int:
        """How many bytes of the blob are missing."""
        return self._size - sum(each.length for each in self._kept)

    def add(self, start: int, check: Digest, pieces: Iterable[bytes]) -> int:
        """Write a part that begins at byte `start`; return how many of its bytes were missing.

        Bytes that were verified before are not written again, because this part may be damaged.

        Raises:
            DigestMismatch: the digest of the part is not `check`; none of its bytes are kept.
            StoreError: the disk refused.
        """
        hasher, position = check.hasher(), start
        ordered, hashed = self._hasher.copy(), self._hashed
        for piece in pieces:
            hasher.update(piece)
            is_written = self._write(position, piece) == len(piece)
            # Only bytes that were just written: bytes of an earlier part were not hashed here.
            if is_written and position == hashed:
                ordered.update(piece)
                hashed += len(piece)
            position += len(piece)
        if hasher.hexdigest() != check.encoded:
            raise DigestMismatch(str(check), f"the {position - start} bytes of this part are wrong")
        self._hasher, self._hashed = ordered, hashed
        missing, self._kept = self.missing, join_spans([*self._kept, Span(start, position)])
        if self.missing < missing:
            self._write_record()
        return missing - self.missing

    def seal(self) -> SealedPartial:
        """Verify the whole blob, of which no byte may be missing, and sync the file.

        Raises:
            DigestMismatch: the parts together do not have the blob's digest. Nobody can know which
                part is wrong, so all parts were deleted.
            StoreError: the disk refused.
        """
        with translate_errors(self._path):
            while block := os.pread(self._descriptor, _READ, self._hashed):
                self._hasher.update(block)
                self._hashed += len(block)
            if self._hasher.hexdigest() != self._digest.encoded:
                self._ranges.unlink(missing_ok=True)
                self._path.unlink()
                raise DigestMismatch(str(self._digest), "its parts together have another digest")
            os.fsync(self._descriptor)
            os.fchmod(self._descriptor, WHOLE)
        return SealedPartial(self._path, self._digest, self._size)

    def touch(self) -> None:
        """Give those that wait for the blob a sign of life; this may run beside other methods."""
        self._lock.touch()

    def abandon(self) -> None:
        """Delete all parts, which nobody needs any more; `close` deletes their file."""
        self._ranges.unlink(missing_ok=True)
        self._kept = []

    def close(self) -> None:
        """Release the lock; verified parts are kept for the next writer."""
        if not self._kept:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._lock.abandon()
        self._lock.close()

    @property
    def _ranges(self) -> Path:
        return _name_record(self._path)

    def _write(self, position: int, piece: bytes) -> int:
        """Write those bytes of a piece that are missing, and return how many they are."""
        gaps = find_gaps(Span(position, position + len(piece)), self._kept)
        view = memoryview(piece)
        with translate_errors(self._path):
            for gap in gaps:
                at = gap.start
                while at < gap.stop:
                    at += os.pwrite(self._descriptor, view[at - position : gap.stop - position], at)
        return sum(each.length for each in gaps)

    def _write_record(self) -> None:
        """Sync the file, and then record which bytes it has."""
        spans = [[each.start, each.stop] for each in self._kept]
        temporary = self._path.with_suffix(".new")
        with translate_errors(self._path):
            os.fsync(self._descriptor)
            with open_new(temporary) as file:
                file.write(json.dumps({"whole": self._size, "kept": spans}).encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._ranges)
            sync_folder(self._path.parent)
