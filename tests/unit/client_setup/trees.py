"""Folders of files, as they are before and after something."""

import stat
from pathlib import Path


def describe_tree(root: Path) -> dict[str, object]:
    """Return what is below a folder: links by their targets, files by mode and content."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"leads to {path.readlink()}"
        elif path.is_file():
            found[name] = (oct(stat.S_IMODE(path.stat().st_mode)), path.read_bytes())
        else:
            found[name] = "folder"
    return found
