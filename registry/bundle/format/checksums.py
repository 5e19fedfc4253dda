"""`SHA256SUMS` beside volumes: for who has nothing but sha256sum."""

import hashlib
from pathlib import Path

from registry.store.files import write_durably

_SUMS = "SHA256SUMS"


def write_sums(folder: Path, paths: list[Path]) -> Path:
    """Write what `sha256sum -c` reads, from the bytes that are on the disk now.

    What it said of other files that are still there it goes on saying.
    """
    sums, lines = folder / _SUMS, []
    for path in paths:
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    ours = {path.name for path in paths}
    for line in sums.read_text().splitlines(keepends=True) if sums.is_file() else ():
        name = line.rstrip("\n").partition("  ")[2]
        if name and name not in ours and (folder / name).is_file():
            lines.append(line)
    lines.sort(key=lambda each: each.partition("  ")[2])
    write_durably(sums, "".join(lines).encode())
    return sums
