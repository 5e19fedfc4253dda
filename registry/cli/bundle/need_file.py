"""`need.json`: the list of blobs that were missing in an import; people carry it back."""

import errno
import os
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from registry.cli.messages import fail, warn
from registry.cli.session import Session
from registry.cli.terminal import format_count
from registry.errors import BundleInvalid, FileUnreadable

if TYPE_CHECKING:
    from registry.bundle.format.inventory import Inventory
    from registry.bundle.format.lock import Lock
    from registry.bundle.load.result import Imported
    from registry.bundle.read.head import Opened


def write_need_file(opened: "Opened", done: "Imported", path: Path, *, dry_run: bool) -> str:
    """Write the list of the blobs that are missing after an import; none are: write nothing.

    Return why it cannot be written, also for a dry run, which writes nothing; else "".
    """
    from registry.bundle.format.inventory import write_need  # noqa: PLC0415

    if not done.incomplete:
        return ""
    if dry_run:
        return _find_refusal(path)
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with part.open("xb") as file:  # a link is not followed: others may write to this folder
            file.write(write_need(opened.lock.bundle_id, done.incomplete, done.need.items()))
        part.replace(path)
    except OSError as error:
        return _explain(path, error.strerror or str(error))
    return ""


def _find_refusal(path: Path) -> str:
    folder = path.absolute().parent
    if os.access(folder, os.W_OK):
        return ""
    return _explain(path, os.strerror(errno.EACCES if folder.exists() else errno.ENOENT))


def _explain(path: Path, why: str) -> str:
    return f"{path} cannot be written ({why}); name another file with --need, and import again"


async def clear_need(
    session: Session, path: Path, lock: "Lock", complete: AbstractSet[str], *, dry_run: bool
) -> None:
    """Delete the `need.json` of an earlier import if none of its blobs is missing any more.

    Otherwise somebody would carry back a list that nobody needs. If a blob is still missing, the
    file stays, and a message says so. A file that is not a need stays too. `complete` are the
    names of the images of the bundle `lock` that were just imported completely. A dry run deletes
    nothing, and only says what an import would do.
    """
    need = _read_need(path)
    if need is None:
        return
    stored = {digest for digest, _ in await session.content.images.list_stored()}
    if dry_run:  # an import would have stored what its complete images need
        stored |= lock.sizes.keys()
    missing = [digest for digest, _ in need.blobs if digest not in stored]
    if missing and not complete >= set(need.images):
        are = "is" if len(missing) == 1 else "are"
        count = format_count(len(missing), "blob")
        warn(f"{path} is of another import, and stays: {count} of it {are} still missing")
        return
    if not dry_run:
        _remove(path)
    warn(f"{'would remove' if dry_run else 'removed'} {path}: nothing in it is missing any more")


def _read_need(path: Path) -> "Inventory | None":
    from registry.bundle.read.open import load_inventory  # noqa: PLC0415

    try:
        found = load_inventory(path)
    except (BundleInvalid, FileUnreadable):
        return None
    return found if found.images else None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        fail(f"{path} is out of date, and cannot be removed ({error.strerror}); remove it", 1)
