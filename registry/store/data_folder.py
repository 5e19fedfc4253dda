"""The data folder: its rooms on disk, its layout version, and safe small writes."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from registry.errors import StoreError, StoreTooNew

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
        """Blobs still arriving."""
        return self.root / "spool"

    @property
    def quarantine(self) -> Path:
        """Blobs whose bytes have changed on disk, for whoever wants to know how."""
        return self.root / "quarantine"

    @property
    def tags(self) -> Path:
        """What names point to, one small file each."""
        return self.root / "tags"

    @property
    def pins(self) -> Path:
        """What stays for ever, in one file."""
        return self.root / "pins.json"

    @property
    def lost(self) -> Path:
        """A mark: the catalog was lost, and has not been made again yet."""
        return self.root / "CATALOG-LOST"

    @property
    def backup(self) -> Path:
        """A mark: this is a backup, and nobody serves from it."""
        return self.root / "BACKUP"

    @property
    def has_content(self) -> bool:
        """Whether there is anything that a catalog would know."""
        found = (self.tags.glob("*/*"), self.blobs.glob("*/*/*"))
        return self.pins.exists() or any(next(each, None) is not None for each in found)

    @property
    def locks(self) -> Path:
        """An empty file whose bytes are locks between processes (see `store.locks`)."""
        return self.root / "locks"

    @property
    def catalog(self) -> Path:
        """The index over all of it."""
        return self.root / "catalog.db"


def open_folder(root: Path) -> DataFolder:
    """Make or check the data folder.

    Raises:
        StoreTooNew: it belongs to a newer version; nothing was touched.
        StoreError: it cannot be made or written.
    """
    folder = DataFolder(root.absolute())
    marker = folder.root / "LAYOUT"
    try:
        # Private images are in here: other users of the machine have no business with them.
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if marker.exists():
            _check_layout(folder.root, marker.read_text(encoding="ascii"))
        elif folder.catalog.exists():  # somebody else's: it would be put aside as spoilt
            raise StoreError(
                str(folder.root), "has a catalog.db, but no LAYOUT file; is this a data folder?"
            )
        rooms = (folder.blobs, folder.ingests, folder.quarantine, folder.tags, folder.locks)
        for room in rooms:
            room.mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            write_durably(marker, f"{LAYOUT}\n".encode())
        _prove_writable(folder.root)
    except OSError as error:
        raise StoreError(str(folder.root), error.strerror or str(error)) from error
    return folder


def find_folder(root: Path) -> DataFolder:
    """Return the data folder that is there already.

    Raises:
        StoreTooNew: it belongs to a newer version.
        StoreError: there is none, or it cannot be read.
    """
    folder = DataFolder(root.absolute())
    try:
        _check_layout(folder.root, (folder.root / "LAYOUT").read_text(encoding="ascii"))
    except FileNotFoundError as error:
        raise StoreError(str(folder.root), "is no data folder (it has no LAYOUT file)") from error
    except OSError as error:
        raise StoreError(str(folder.root), error.strerror or str(error)) from error
    return folder


def _check_layout(root: Path, text: str) -> None:
    found = text.strip()
    if not found.isdigit():
        raise StoreError(str(root), "its LAYOUT file is not a number; is this a data folder?")
    if int(found) > LAYOUT:
        raise StoreTooNew(str(root), int(found), LAYOUT)


def _prove_writable(root: Path) -> None:
    probe = root / f".probe-{os.getpid()}"
    probe.write_bytes(b"")
    probe.unlink()


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` by `content` so that a crash leaves the old or the new, never a mixture.

    Raises:
        OSError: the disk refused; the old content is still there.
    """
    # The name begins with a dot, which neither a tag nor a digest does; and two threads that write
    # the same path must not write the same temporary file.
    writer = f"{os.getpid()}-{threading.get_native_id()}"
    temporary = path.with_name(f".new-{writer}-{path.name[:200]}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably.

    Raises:
        OSError: the disk refused.
    """
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names inside a folder durable (a rename alone is not)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
