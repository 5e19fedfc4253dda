"""The data folder: the paths of its parts on disk, and the version of its layout."""

import os
from dataclasses import dataclass
from pathlib import Path

from registry.errors import StoreError, StoreTooNew
from registry.store.files import open_new, translate_errors, write_durably

_LONGEST_LAYOUT = 9  # digits
FileIdentity = tuple[int, int]  # device and inode
LAYOUT = 1  # raised when an older version could no longer read what this one writes


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths under `storage.path`; all on one file system, so that a rename moves nothing."""

    root: Path

    @property
    def blobs(self) -> Path:
        """Whole, verified blobs: `<algorithm>/<2 hex>/<hex>`."""
        return self.root / "blobs"

    @property
    def ingests(self) -> Path:
        """Blobs that are being downloaded or imported."""
        return self.root / "spool"

    @property
    def quarantine(self) -> Path:
        """Damaged blobs: their bytes have changed on disk."""
        return self.root / "quarantine"

    @property
    def tags(self) -> Path:
        """Tag files: one small file for each tag or digest of a repository."""
        return self.root / "tags"

    @property
    def pins(self) -> Path:
        """All pins, in one file."""
        return self.root / "pins.json"

    @property
    def imports(self) -> Path:
        """The imported bundles, in the order of their imports."""
        return self.root / "imports.json"

    @property
    def accounts(self) -> Path:
        """Users and tokens, in one file that other users of the machine cannot read."""
        return self.root / "accounts.json"

    @property
    def last_uses(self) -> Path:
        """The folder with a file for each account that was used: when that was the last time."""
        return self.root / "last-uses"

    @property
    def token_key(self) -> Path:
        """The key that signs tokens of `/token`."""
        return self.root / "token.key"

    @property
    def access_records(self) -> Path:
        """The folder with the records of who has pulled what."""
        return self.root / "access-records"

    @property
    def lost(self) -> Path:
        """A mark file: the catalog was lost, and has not been made again yet."""
        return self.root / "CATALOG-LOST"

    @property
    def backup(self) -> Path:
        """A mark file: this folder is a backup, and no server uses it."""
        return self.root / "BACKUP"

    @property
    def has_content(self) -> bool:
        """Whether there are blobs, tags or pins, which a catalog should have."""
        found = (self.tags.glob("*/*"), self.blobs.glob("*/*/*"))
        return self.pins.exists() or any(next(each, None) is not None for each in found)

    @property
    def locks(self) -> Path:
        """The folder of the file whose bytes are locks between processes (see `file_locks.py`)."""
        return self.root / "locks"

    @property
    def catalog(self) -> Path:
        """The index over all these files."""
        return self.root / "catalog.db"

    def identify_catalog(self) -> FileIdentity | None:
        """Return what distinguishes the catalog from a file that replaces it; None: no file.

        Raises:
            OSError: the disk refuses to say it.
        """
        try:
            state = self.catalog.stat()
        except FileNotFoundError:
            return None
        return state.st_dev, state.st_ino


def open_folder(root: Path) -> DataFolder:
    """Make or check the data folder.

    Raises:
        StoreTooNew: a newer version has written the folder; nothing was changed.
        StoreError: the folder cannot be made or written.
    """
    folder = DataFolder(root.absolute())
    marker = folder.root / "LAYOUT"
    with translate_errors(folder.root):
        # Other users of the machine must not read private images.
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if marker.exists():
            _check_layout(folder.root, marker.read_bytes())
        elif folder.catalog.exists():  # it belongs to another program
            raise StoreError(
                str(folder.root), "has a catalog.db, but no LAYOUT file; is this a data folder?"
            )
        subfolders = (folder.blobs, folder.ingests, folder.quarantine, folder.tags, folder.locks)
        for subfolder in subfolders:
            subfolder.mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            write_durably(marker, f"{LAYOUT}\n".encode())
        _prove_writable(folder.root)
    return folder


def find_folder(root: Path) -> DataFolder:
    """Return an existing data folder.

    Raises:
        StoreTooNew: a newer version has written the folder.
        StoreError: the folder does not exist, is no data folder, or cannot be read.
    """
    folder = DataFolder(root.absolute())
    with translate_errors(folder.root):
        try:
            content = (folder.root / "LAYOUT").read_bytes()
        except FileNotFoundError as error:
            is_there = folder.root.exists()
            why = "is no data folder (it has no LAYOUT file)" if is_there else "does not exist"
            raise StoreError(str(folder.root), why) from error
    _check_layout(folder.root, content)
    return folder


def _check_layout(root: Path, content: bytes) -> None:
    found = content.strip()
    if not found.isdigit() or len(found) > _LONGEST_LAYOUT:
        raise StoreError(str(root), "its LAYOUT file is not a number; is this a data folder?")
    if int(found) > LAYOUT:
        raise StoreTooNew(str(root), int(found), LAYOUT)


def _prove_writable(root: Path) -> None:
    probe = root / f".probe-{os.getpid()}"
    open_new(probe).close()
    probe.unlink()
