"""`need.json` of a former import: whether anything of it still lacks."""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from registry.cli.session import Session, fail
from registry.cli.terminal import format_count
from registry.errors import BundleInvalid

if TYPE_CHECKING:
    from registry.bundle.format.inventory import Inventory


async def clear_need(session: Session, path: Path, complete: AbstractSet[str]) -> None:
    """Delete a need of which nothing lacks now, lest it is carried back; else say so.

    `complete` are the images that were just imported, whole. Files of anything else stay.
    """
    need = _read_need(path)
    if need is None:
        return
    stored = {digest for digest, _ in await session.content.images.list_stored()}
    lacking = [digest for digest, _ in need.blobs if digest not in stored]
    if lacking and not complete >= set(need.images):
        told = format_count(len(lacking), "blob")
        typer.echo(f"entrepot: {path} is of another import; not here of it: {told}", err=True)
        return
    _remove(path)
    typer.echo(f"entrepot: removed {path}, which is obsolete", err=True)


def _read_need(path: Path) -> "Inventory | None":
    from registry.bundle.read.open import load_inventory  # noqa: PLC0415

    try:
        found = load_inventory(path)
    except (BundleInvalid, OSError):
        return None
    return found if found.images else None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        fail(f"{path} is obsolete, and cannot be removed ({error.strerror}); remove it", 1)
