"""Times and rates of endpoints as people read them. Pure."""

from registry.cli.terminal import format_bytes

UNKNOWN = "-"


def format_short(seconds: float | None) -> str:
    """Return a short time: `35 ms`, `1.2 s`; `-` if it is not known."""
    if seconds is None:
        return UNKNOWN
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def format_long(seconds: float | None) -> str:
    """Return the time of a download: `4.2 s`, `12 min`; `-` if it is not known."""
    if seconds is None:
        return UNKNOWN
    return f"{seconds:.1f} s" if seconds < 99.95 else f"{seconds / 60:.0f} min"


def format_rate(rate: float | None) -> str:
    """Return a rate, given in bytes per second: `12.3 MiB/s`; `-` if it is not known."""
    return UNKNOWN if rate is None else f"{format_bytes(int(rate))}/s"
