"""What becomes of a file: decided from what it has, what it had, and what clients need. Pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from registry.clients.edits import Edit, Kind
from registry.clients.merging import merge, withdraw
from registry.clients.plan import FileEdits
from registry.clients.record import FileRecord
from registry.errors import ClientFileInvalid
from registry.settings.values import Refusal

_NOTHING = re.compile(r"\s*(?:\{\s*\}\s*)?")  # a file that has no content but for braces


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What is known of a file: its content now, and what was recorded.

    `original` is the content of the copy, from before the edits. Contents are None for files that
    do not exist.
    """

    content: bytes | None
    record: FileRecord | None = None
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a file has and shall have; `base` is its content without what clients need.

    `edits` are what all clients need in it then; if there are none, it is restored. `is_edited` if
    others have changed it since it was written. `is_undone` if a client does not need it any more.
    """

    path: PurePosixPath
    kind: Kind
    # The repr leaves out what may have secrets.
    former: bytes | None = field(repr=False)
    base: bytes | None = field(repr=False)
    content: bytes | None = field(repr=False)
    edits: Mapping[str, tuple[Edit, ...]] = field(repr=False)
    is_secret: bool = False
    is_edited: bool = False
    is_undone: bool = False

    @property
    def changes(self) -> bool:
        """Whether the file has to be written or deleted."""
        return self.content != self.former


def hash_content(content: bytes) -> str:
    """Return the SHA-256 of a content, as it is recorded."""
    return hashlib.sha256(content).hexdigest()


def decode(path: PurePosixPath, content: bytes | None) -> str | None:
    """Return the text of a file; None if there is none.

    Raises:
        ClientFileInvalid: it is not UTF-8.
    """
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1 if content else 0
        raise ClientFileInvalid(str(path), line, "it is not UTF-8", "change it by hand") from error


def plan_write(wanted: FileEdits, client: str, found: FoundFile) -> FileChange:
    """Return what becomes of a file that a client needs.

    Raises:
        ClientFileInvalid: it cannot be changed so.
    """
    known = found.record.edits if found.record else {}
    edits = {**known, client: wanted.edits}
    base = _find_base(wanted.path, wanted.kind, found)
    content = _merge(wanted.path, wanted.kind, base, edits)
    return FileChange(
        wanted.path,
        wanted.kind,
        found.content,
        base,
        content,
        edits,
        wanted.is_secret,
        _is_edited(found),
    )


def plan_undo(path: PurePosixPath, client: str, record: FileRecord, found: FoundFile) -> FileChange:
    """Return what becomes of a file that a client needs no more; others may need it.

    Raises:
        ClientFileInvalid: it cannot be changed so.
    """
    edits = {name: each for name, each in record.edits.items() if name != client}
    base = _find_base(path, record.kind, found)
    content = _merge(path, record.kind, base, edits) if edits else base
    return FileChange(
        path,
        record.kind,
        found.content,
        base,
        content,
        edits,
        is_edited=_is_edited(found),
        is_undone=True,
    )


def _is_edited(found: FoundFile) -> bool:
    """Whether others have changed a file since it was written."""
    content, record = found.content, found.record
    if record is None or content is None:
        return False
    return hash_content(content) != record.written


def _find_base(path: PurePosixPath, kind: Kind, found: FoundFile) -> bytes | None:
    """Return the content without any edit of ours; None if the file would not exist."""
    record, content = found.record, found.content
    if record is None or content is None:
        return content
    if not _is_edited(found) and _has_original(found):
        return found.original
    text, original = decode(path, content) or "", decode(path, found.original) or ""
    edits = [edit for each in record.edits.values() for edit in each]
    try:
        rest = withdraw(kind, text, edits, original)
    except Refusal as error:
        raise _refuse(path, error) from error
    is_ours = record.copy is None and _NOTHING.fullmatch(rest)
    return None if is_ours else rest.encode()


def _has_original(found: FoundFile) -> bool:
    """Whether the content before the edits is known: it is in the copy, or there was no file."""
    return found.record is not None and (found.record.copy is None) == (found.original is None)


def _merge(
    path: PurePosixPath, kind: Kind, base: bytes | None, edits: Mapping[str, Sequence[Edit]]
) -> bytes:
    text = decode(path, base) or ""
    try:
        for each in edits.values():
            text = merge(kind, text, each)
    except Refusal as error:
        raise _refuse(path, error) from error
    return text.encode()


def _refuse(path: PurePosixPath, error: Refusal) -> ClientFileInvalid:
    return ClientFileInvalid(str(path), getattr(error, "line", 0), error.why, error.cure)
