"""Which of two limits leaves too little space for a blob, and what helps. Pure."""

from registry.settings.values import format_size

_MIB = 1024 * 1024  # bytes
_KEPT = "beside what is pinned or was pulled just now"
_UNPIN = "or unpin images"


def explain_shortage(
    size: int, *, is_by_limit: bool, is_by_disk: bool, limit: int, free: int, reserve: int
) -> str:
    """Return why `size` bytes do not fit, and what to do; all numbers are bytes.

    `is_by_limit` and `is_by_disk` say which of `storage.limit` and the file system is the reason.
    The file system has `free` bytes, of which `reserve` stay free. It is called when all that may
    be deleted is not enough. If neither is the reason any more, something was deleted just now.
    """
    if size > limit:
        return "storage.limit is smaller; raise storage.limit"
    if is_by_limit and is_by_disk:
        return f"storage.limit and the disk leave too little {_KEPT}; free disk space, {_UNPIN}"
    if is_by_limit:
        why = f"storage.limit leaves too little of {format_size(limit)} {_KEPT}"
        return f"{why}; raise storage.limit, {_UNPIN}"
    if not is_by_disk:
        return "there was too little, and there is enough now; try again"
    if not reserve:
        return f"the disk has only {_format(free)} free; free disk space, {_UNPIN}"
    why = (
        f"storage.reserve keeps {format_size(reserve)} of the disk free, and it has {_format(free)}"
    )
    return f"{why}; free disk space, lower storage.reserve, {_UNPIN}"


def _format(size: int) -> str:
    """Return a measured size in MiB, or in bytes if it is less than one."""
    return format_size(size if size < _MIB else size // _MIB * _MIB)
