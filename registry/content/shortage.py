"""Which of two limits leaves too little space for a blob, and what helps. Pure."""

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
        return f"storage.limit is only {format_size(limit)}; raise storage.limit"
    if is_by_limit and not is_by_disk:
        why = f"storage.limit leaves too little of {format_size(limit)} {_KEPT}"
        return f"{why}; raise storage.limit, or unpin images"
    if is_by_disk and not is_by_limit:
        why = f"the disk has only {format_bytes(free)} free"
        if reserve:
            why = f"storage.reserve keeps {format_size(reserve)} free, but {why}"
        cure = "free disk space, lower storage.reserve" if reserve else "free disk space"
        return f"{why}; {cure}, or unpin images"
    if not is_by_limit:
        return "there was too little, and there is enough now; try again"
    why = f"storage.limit and the disk leave too little {_KEPT}"
    return f"{why}; free disk space, or unpin images"
