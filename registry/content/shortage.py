"""Which of two limits leaves too little space for a blob, and what helps. Pure."""

_MIB = 1024 * 1024  # bytes


def explain_shortage(
    size: int, *, is_by_limit: bool, is_by_disk: bool, limit: int, free: int, reserve: int
) -> str:
    """Return why `size` bytes do not fit, and what to do; all numbers are bytes.

    `is_by_limit` and `is_by_disk` say which of `storage.limit` and the file system is the reason.
    The file system has `free` bytes, of which `reserve` stay free. It is called when all that may
    be deleted is not enough.
    """
    if size > limit:
        return "storage.limit is smaller; raise storage.limit"
    if is_by_limit and not is_by_disk:
        why = f"storage.limit leaves too little of {_format(limit)}"
        return f"{why}; raise storage.limit, or unpin images"
    if is_by_disk and not is_by_limit:
        why = (
            f"storage.reserve keeps {_format(reserve)} of the disk free, and it has {_format(free)}"
        )
        return f"{why}; free disk space, lower storage.reserve, or unpin images"
    return "storage.limit and the disk leave too little; free disk space, or unpin images"


def _format(size: int) -> str:
    return f"{size} bytes" if size < _MIB else f"{size // _MIB} MiB"
