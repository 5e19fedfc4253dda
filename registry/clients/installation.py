"""Writing what a client needs into its files, and undoing that, by a record of what was written."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
from registry.clients.plan import ClientPlan, Reader
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

    def read_without(self, client: str) -> Reader:
        """Return what reads the text of a file without what was written for a client.

        A plan is made from that: so the same plan is made again, whatever was written by it.

        Raises:
            ClientFileInvalid: what was recorded cannot be read; the reader raises it too.
        """
        files = self._read_known().files

        def read(path: PurePosixPath) -> str | None:
            record = files.get(path)
            if record is None or client not in record.edits:
                return self.read_text(path)
            return decode(path, plan_undo(path, client, record, self._find(path, files)).content)

        return read

    def preview(self, client: str, plan: ClientPlan) -> list[FileChange]:
        """Return what `write` would do.

        Raises:
            ClientFileInvalid: a file cannot be changed so.
            OSError: a file cannot be read.
        """
        record = self._read_known()
        needed = {each.path for each in plan.files}
        return [*self._plan(client, plan, record), *self._plan_undo(client, record, needed)]

    def _plan(self, client: str, plan: ClientPlan, record: Record) -> list[FileChange]:
        return [
            plan_write(each, client, self._find(each.path, record.files)) for each in plan.files
        ]

    def _plan_undo(
        self, client: str, record: Record, needed: Collection[PurePosixPath] = ()
    ) -> list[FileChange]:
        """Return what becomes of the files of a client, apart from those that it still needs."""
        known = {path: each for path, each in record.files.items() if client in each.edits}
        return [
            plan_undo(path, client, each, self._find(path, record.files))
            for path, each in reversed(known.items())
            if path not in needed
        ]

    def write(self, client: str, plan: ClientPlan) -> list[Outcome]:
        """Write what a client needs. If one file cannot be changed, none is written.

        What was written for it before, and is not needed any more, is undone.

        Raises:
            ClientFileInvalid: a file cannot be changed so, or changes at this moment.
            OSError: the disk refused; `undo` removes what was written.
        """
        record = self._read_record()
        changes = [
            each for each in self._plan(client, plan, record) if _is_new(each, client, record)
        ]
        unneeded = self._plan_undo(client, record, {each.path for each in plan.files})
        if changes:
            restarts = {**record.restarts, client: plan.restart_undone or plan.restart}
            record = self._add(record, changes, restarts)
        if unneeded:
            self._take_back(record, unneeded, record.restarts)
        written = [
            Outcome(each, record.files[each.path].copy, self._files.is_open(each.path))
            for each in changes
            if each.changes
        ]
        return [*written, *(Outcome(each) for each in unneeded if each.changes)]

    def _add(
        self,
        record: Record,
        changes: Sequence[FileChange],
        restarts: Mapping[str, tuple[str, ...]],
    ) -> Record:
        """Write files, and what is recorded of them; return that."""
        files, folders = dict(record.files), list(record.folders)
        with self._clean_up(record, files, folders):
            for path in (self._place, *(each.path for each in changes)):
                folders += self._files.make_folder(self._files.follow(path).parent)
            for change in changes:
                files[change.path] = self._prepare(change, files.get(change.path))
            new = Record(files, restarts, tuple(folders))
            # Before the files, so that what a crash leaves can be undone.
            self._save(new, record)
        for change in changes:
            if change.content is not None and change.changes:
                self._check(change)
                self._files.write(change.path, change.content, is_secret=change.is_secret)
        self._delete_copies(record.files, files)
        return new

    @contextmanager
    def _clean_up(
        self,
        record: Record,
        files: Mapping[PurePosixPath, FileRecord],
        folders: Sequence[PurePosixPath],
    ) -> Iterator[None]:
        """If the block fails, remove the copies and folders that are not in the record."""
        try:
            yield
        except (OSError, ClientFileInvalid):
            with suppress(OSError):
                self._delete_copies(files, record.files)
            self._files.remove_folders(each for each in folders if each not in record.folders)
            raise

    def undo(self, client: str) -> tuple[list[Outcome], tuple[str, ...]]:
        """Undo what was written for a client; return that, and the commands to restart it.

        What another client needs too stays.

        Raises:
            ClientFileInvalid: a file was changed so that it cannot be undone, and nothing is
                changed; or it changes at this moment.
            OSError: the disk refused; the same again goes on.
        """
        record = self._read_record()
        changes = self._plan_undo(client, record)
        restarts = {name: each for name, each in record.restarts.items() if name != client}
        if changes:
            self._take_back(record, changes, restarts)
        return [Outcome(each) for each in changes if each.changes], record.restarts.get(client, ())

    def _take_back(
        self,
        record: Record,
        changes: Sequence[FileChange],
        restarts: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Let files have what they shall have without the edits of a client.

        The copies are there until the record does not need them: without them, the same again
        would not know what the user had written himself.
        """
        files = dict(record.files)
        for change in changes:
            self._restore(change, files[change.path].copy)
            former = files.pop(change.path)
            if change.edits:
                files[change.path] = self._prepare(change, former)
        if files:
            self._save(Record(files, restarts, record.folders), record)
        else:
            self._files.delete(self._place)
        self._delete_copies(record.files, files)
        folders = self._files.remove_folders(record.folders)
        if files and folders != record.folders:
            self._save(Record(files, restarts, folders), Record(files, restarts, record.folders))

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

    def _read_known(self) -> Record:
        """Return the record, or an empty one if only the user who writes may read it."""
        try:
            return self._read_record()
        except PermissionError:
            return Record()

    def _save(self, record: Record, former: Record) -> None:
        """Replace the former record, unless another run has done so meanwhile."""
        if self._read_record() != former:
            raise _refuse_meanwhile(self._place)
        self._files.write(self._place, format_record(record).encode(), is_secret=True)

    def _check(self, change: FileChange) -> None:
        """Refuse a file that others have changed since it was read."""
        if self._files.read(change.path) != change.former:
            raise _refuse_meanwhile(change.path)

    def _prepare(self, change: FileChange, former: FileRecord | None) -> FileRecord:
        """Make the copy that a change needs; return what is recorded of it."""
        written = hash_content(change.content or b"")
        copy = former.copy if former else None
        if change.base is None:
            copy = None
        elif copy is None or self._files.read(copy) != change.base:
            copy = self._find_free(change.path)
            self._files.copy(change.path, copy, change.base)
        return FileRecord(change.kind, change.edits, written, copy)

    def _delete_copies(
        self,
        files: Mapping[PurePosixPath, FileRecord],
        others: Mapping[PurePosixPath, FileRecord],
    ) -> None:
        """Delete the copies in one record that are not in the other one."""
        kept = {each.copy for each in others.values()}
        for each in files.values():
            if each.copy and each.copy not in kept:
                self._files.delete(each.copy)

    def _restore(self, change: FileChange, copy: PurePosixPath | None) -> None:
        if not change.changes:
            return
        self._check(change)
        if change.content is None:
            self._files.delete(change.path)
        elif copy and self._files.read(copy) == change.content:
            self._files.copy(copy, change.path, change.content)
        else:
            self._files.write(change.path, change.content, is_secret=False)

    def _find_free(self, path: PurePosixPath) -> PurePosixPath:
        """Return a name for a copy that no file has."""
        path = self._files.follow(path)  # beside the file itself, if the path is a link
        moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        copy, number = path.with_name(f"{path.name}.entrepot-{moment}"), 1
        while self._files.read(copy) is not None:
            number += 1
            copy = path.with_name(f"{path.name}.entrepot-{moment}-{number}")
        return copy


def _refuse_meanwhile(path: PurePosixPath) -> ClientFileInvalid:
    return ClientFileInvalid(str(path), 0, "it was changed just now", "run the command again")


def _is_new(change: FileChange, client: str, record: Record) -> bool:
    """Whether a change has to be written or recorded.

    What the user has written himself already is not recorded, and so not undone.
    """
    known = record.files.get(change.path)
    if known is None:
        return change.changes
    return change.changes or known.edits.get(client) != change.edits[client]
