"""One blob that comes in parts of known digests, in any order: a file with holes, and a record.

Readers never see it: what follows a part that is arriving (`part.py`) has no holes. The record says
which bytes have been proved by the digest of their own part, and are on the disk; whatever else is
in the file counts for nothing, so a crash at any point leaves what the next writer can go on from.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from registry.errors import DigestMismatch, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.data_folder import sync_folder
from registry.store.file_locks import take_lock
from registry.store.partial import PartialWriter, SealedPartial

_WHOLE = 0o444
_READ = 1024 * 1024  # bytes read at a time when the whole is hashed


def find_gaps(wanted: Span, kept: Sequence[Span]) -> list[Span]:
    """Return what of `wanted` is in none of `kept`, which are in order and apart."""
    gaps, start = [], wanted.start
    for each in kept:
        if each.start > start:
            gaps.append(Span(start, min(each.start, wanted.stop)))
        start = max(start, each.stop)
    gaps.append(Span(start, wanted.stop))
    return [each for each in gaps if each.length > 0]


def join_spans(spans: Iterable[Span]) -> list[Span]:
    """Return the same bytes in as few spans as can be, in order and apart."""
    joined: list[Span] = []
    for each in sorted(spans):
        if joined and each.start <= joined[-1].stop:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, each.stop))
        else:
            joined.append(each)
    return joined


class SparsePartial:
    """The one writer of a blob of `whole` bytes that comes in parts; no pull writes it meanwhile.

    All methods block (disk, hashing): call them in a thread, one at a time.
    """

    def __init__(self, path: Path, digest: Digest, whole: int, place: PartialWriter) -> None:
        """Go on with what is there; `place` holds the place in the spool, and is closed with this.

        Raises:
            OSError: the disk refuses files.
        """
        descriptor = take_lock(path)
        if descriptor is None:
            raise StoreError(str(path), "is locked by nobody who may; try again")
        self._path = path
        self._digest = digest
        self._whole = whole
        self._place = place
        self._descriptor = descriptor
        self._hasher, self._hashed = digest.hasher(), 0  # of the beginning, as far as it came first
        self._kept = self._recall()

    @property
    def lacking(self) -> int:
        """How many bytes have not come yet."""
        return self._whole - sum(each.length for each in self._kept)

    def add(self, start: int, check: Digest, pieces: Iterable[bytes]) -> int:
        """Keep a part that begins at `start`, and return how many of its bytes were not here.

        Bytes that were proved before are not written again: this part may be the damaged one.

        Raises:
            DigestMismatch: the part is not what `check` says; nothing of it is kept.
            StoreError: the disk refused.
        """
        hasher, position = check.hasher(), start
        whole, hashed = self._hasher.copy(), self._hashed
        for piece in pieces:
            hasher.update(piece)
            is_written = self._write(position, piece) == len(piece)
            # Only what is in the file for sure: what was kept there before may be a forgery.
            if is_written and position == hashed:
                whole.update(piece)
                hashed += len(piece)
            position += len(piece)
        if hasher.hexdigest() != check.encoded:
            raise DigestMismatch(str(check), f"{position - start} bytes came, and are wrong")
        self._hasher, self._hashed = whole, hashed
        lacking, self._kept = self.lacking, join_spans([*self._kept, Span(start, position)])
        if self.lacking < lacking:
            self._record()
        return lacking - self.lacking

    def seal(self) -> SealedPartial:
        """Verify the whole; durable when it returns. Nothing may be lacking.

        Raises:
            DigestMismatch: the parts are not those of this blob, and which is wrong nobody can say:
                all of them were thrown away.
            StoreError: the disk refused.
        """
        try:
            while block := os.pread(self._descriptor, _READ, self._hashed):
                self._hasher.update(block)
                self._hashed += len(block)
            if self._hasher.hexdigest() != self._digest.encoded:
                self._ranges.unlink(missing_ok=True)
                self._path.unlink()
                raise DigestMismatch(str(self._digest), "its parts do not make it")
            os.fsync(self._descriptor)
            os.fchmod(self._descriptor, _WHOLE)
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error
        return SealedPartial(self._path, self._digest, self._whole)

    def close(self) -> None:
        """Let go; what is recorded stays for whoever goes on."""
        if not self._kept:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._place.abandon()
        self._place.close()

    @property
    def _ranges(self) -> Path:
        return self._path.with_suffix(".ranges")

    def _recall(self) -> list[Span]:
        """Return what is recorded and in the file, and nothing where they do not agree."""
        try:
            fields = json.loads(self._ranges.read_bytes())
            kept = join_spans(Span(int(start), int(stop)) for start, stop in fields["kept"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return []
        size = os.fstat(self._descriptor).st_size
        is_right = fields.get("whole") == self._whole and all(each.stop <= size for each in kept)
        return kept if is_right else []

    def _write(self, position: int, piece: bytes) -> int:
        """Write what is not kept yet, and return how many bytes that were."""
        gaps = find_gaps(Span(position, position + len(piece)), self._kept)
        view = memoryview(piece)
        try:
            for gap in gaps:
                at = gap.start
                while at < gap.stop:
                    at += os.pwrite(self._descriptor, view[at - position : gap.stop - position], at)
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error
        return sum(each.length for each in gaps)

    def _record(self) -> None:
        """Note what is here, when it is surely on the disk."""
        spans = [[each.start, each.stop] for each in self._kept]
        temporary = self._path.with_suffix(".new")
        try:
            os.fsync(self._descriptor)
            with temporary.open("w", encoding="ascii") as file:
                json.dump({"whole": self._whole, "kept": spans}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._ranges)
            sync_folder(self._path.parent)
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error
