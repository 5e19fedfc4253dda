"""Giving memory back to the operating system."""

import ctypes


def release_memory() -> None:
    """Give back what is free in the memory of this process; it may take some milliseconds.

    The C library keeps what downloads have freed: up to 40 MiB after 16 at once. Only glibc has
    this function (malloc_trim(3)).
    """
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)
