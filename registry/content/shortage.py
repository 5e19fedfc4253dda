"""Which of two limits leaves too little space for a blob, and what helps. Pure."""

import re

from registry.settings.values import format_bytes, format_size

_KEPT = "beside what is pinned or was pulled just now"


def explain_shortage(
    size: int, *, is_by_limit: bool, is_by_disk: bool, limit: int, free: int, reserve: int
) -> str:
    """Return why `size` bytes do not fit, and what to do; all numbers are bytes.

    `is_by_limit` and `is_by_disk` say which of `storage.limit` and the file system is the reason.
    The file system has `free` bytes, of which `reserve` stay free. Settings are shown as an
    operator writes them. It is called when all that may be deleted is not enough. If neither is
    the reason any more, something was deleted just now.
    """
    if size > limit:
        return f"storage.limit is only {_format(limit)}; raise storage.limit"
    if is_by_limit and not is_by_disk:
        why = f"storage.limit leaves too little of {_format(limit)} {_KEPT}"
        return f"{why}; raise storage.limit, or unpin images"
    if is_by_disk and not is_by_limit:
        why, cure = f"only {format_bytes(free)} are free on the disk", "delete other files"
        if reserve:
            why = f"{format_bytes(free)} are free on the disk, but storage.reserve keeps"
            why, cure = f"{why} {_format(reserve)}", f"lower storage.reserve, {cure}"
        return f"{why}; {cure}, or unpin images"
    if not is_by_limit:
        return "there was too little, and there is enough now; try again"
    why = f"storage.limit and the disk leave too little {_KEPT}"
    return f"{why}; delete other files, or unpin images"


def _format(setting: int) -> str:
    """Return a size as an operator wrote it, with a blank as in other sizes: `100 TiB`."""
    return re.sub(r"(?<=[0-9])(?=[A-Z])", " ", format_size(setting))
