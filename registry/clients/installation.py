"""Writing what a client needs into its files, and undoing that, by a record of what was written."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from registry.clients.changes import (
    FileChange,
    FoundFile,
    decode,
    hash_content,
    plan_undo,
    plan_write,
)
from registry.clients.files import ClientFiles
from registry.clients.plan import ClientPlan
from registry.clients.record import FileRecord, Record, format_record, parse_record
from registry.errors import ClientFileInvalid
from registry.settings.values import Refusal


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file has become: `change` says from what; `copy` is what is kept of the former one.

    `is_open` if users other than its owner may read it.
    """

    change: FileChange
    copy: PurePosixPath | None = None
    is_open: bool = False


class Installation:
    """The files of clients, and the record `setup.json` at the path `record`."""

    def __init__(self, files: ClientFiles, record: PurePosixPath) -> None:
        self._files = files
        self._place = record

    def read_text(self, path: PurePosixPath) -> str | None:
        """Return the text of a file; None if there is none.

        Raises:
            ClientFileInvalid: it is no file of text.
            OSError: it cannot be read.
        """
        return decode(path, self._files.read(path))

    def preview(self, client: str, plan: ClientPlan) -> list[FileChange]:
        """Return what `write` would do.

        Raises:
            ClientFileInvalid: a file cannot be changed so.
            OSError: a file cannot be read.
        """
        try:
            record = self._read_record()
        except PermissionError:  # it is for the user who writes
            record = Record()
        return self._plan(client, plan, record)

    def _plan(self, client: str, plan: ClientPlan, record: Record) -> list[FileChange]:
        return [
            plan_write(each, client, self._find(each.path, record.files)) for each in plan.files
        ]

    def write(self, client: str, plan: ClientPlan) -> list[Outcome]:
        """Write what a client needs. If one file cannot be changed, none is written.

        Raises:
            ClientFileInvalid: a file cannot be changed so.
            OSError: the disk refused; `undo` removes what was written.
        """
        record = self._read_record()
        changes = [
            each for each in self._plan(client, plan, record) if _is_new(each, client, record)
        ]
        if not changes:
            return []
        files, folders = dict(record.files), list(record.folders)
        for path in (self._place, *(each.path for each in changes)):
            folders += self._files.make_folder(self._files.follow(path).parent)
        for change in changes:
            files[change.path] = self._prepare(change, files.get(change.path))
        restarts = {**record.restarts, client: plan.restart_undone or plan.restart}
        # Before the files, so that what a crash leaves can be undone.
        self._save(Record(files, restarts, tuple(folders)))
        for change in changes:
            if change.content is not None and change.changes:
                self._files.write(change.path, change.content, is_secret=change.is_secret)
        return [
            Outcome(each, files[each.path].copy, self._files.is_open(each.path))
            for each in changes
            if each.changes
        ]

    def undo(self, client: str) -> tuple[list[Outcome], tuple[str, ...]]:
        """Undo what was written for a client; return that, and the commands to restart it.

        What another client needs too stays.

        Raises:
            ClientFileInvalid: a file was changed so that it cannot be undone; nothing is changed.
            OSError: the disk refused; the same again goes on.
        """
        record = self._read_record()
        known = {path: each for path, each in record.files.items() if client in each.edits}
        changes = [
            plan_undo(path, client, each, self._find(path, record.files))
            for path, each in reversed(known.items())
        ]
        files = dict(record.files)
        for change in changes:
            former = files[change.path]
            self._restore(change, former.copy)
            written = hash_content(change.content or b"")
            files[change.path] = replace(former, edits=change.edits, written=written)
        files = {path: each for path, each in files.items() if each.edits}
        restarts = {name: each for name, each in record.restarts.items() if name != client}
        if not files:
            self._files.delete(self._place)
        folders = self._files.remove_folders(record.folders)
        if files and changes:
            self._save(Record(files, restarts, folders))
        return [Outcome(each) for each in changes if each.changes], record.restarts.get(client, ())

    def _find(self, path: PurePosixPath, files: Mapping[PurePosixPath, FileRecord]) -> FoundFile:
        record = files.get(path)
        original = self._files.read(record.copy) if record and record.copy else None
        return FoundFile(self._files.read(path), record, original)

    def _read_record(self) -> Record:
        text = self.read_text(self._place)
        try:
            return Record() if text is None else parse_record(text)
        except Refusal as error:
            raise ClientFileInvalid(str(self._place), 0, error.why, error.cure) from error

    def _save(self, record: Record) -> None:
        self._files.write(self._place, format_record(record).encode(), is_secret=True)

    def _prepare(self, change: FileChange, former: FileRecord | None) -> FileRecord:
        """Make the copy that a change needs; return what is recorded of it."""
        written = hash_content(change.content or b"")
        copy = former.copy if former else None
        if change.base is None:
            copy = None
        elif copy is None or self._files.read(copy) != change.base:
            copy = self._find_free(change.path)
            self._files.copy(change.path, copy, change.base)
        if former and former.copy and former.copy != copy:
            self._files.delete(former.copy)
        return FileRecord(change.kind, change.edits, written, copy)

    def _restore(self, change: FileChange, copy: PurePosixPath | None) -> None:
        """Let a file have what it shall have without the edits of a client."""
        if change.changes and change.content is None:
            self._files.delete(change.path)
        elif change.changes and copy and self._files.read(copy) == change.content:
            self._files.move(copy, change.path)
        elif change.changes and change.content is not None:
            self._files.write(change.path, change.content, is_secret=False)
        if copy and not change.edits:
            self._files.delete(copy)

    def _find_free(self, path: PurePosixPath) -> PurePosixPath:
        """Return a name for a copy that no file has."""
        path = self._files.follow(path)  # beside the file itself, if the path is a link
        moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        copy, number = path.with_name(f"{path.name}.entrepot-{moment}"), 1
        while self._files.read(copy) is not None:
            number += 1
            copy = path.with_name(f"{path.name}.entrepot-{moment}-{number}")
        return copy


def _is_new(change: FileChange, client: str, record: Record) -> bool:
    """Whether a change has to be written or recorded.

    What the user has written himself already is not recorded, and so not undone.
    """
    known = record.files.get(change.path)
    if known is None:
        return change.changes
    return change.changes or known.edits.get(client) != change.edits[client]
