"""Platforms on the command line: `linux/amd64,linux/arm64`, or one per option."""

from collections.abc import Sequence
from typing import Any

import typer

from registry.oci.platforms import ALL, own_platform, parse_platform


def platform_option(what: str, more: str = "") -> Any:
    """Return the option `--platform`: its help says `what` it does, its form, and then `more`."""
    text = f"{what}; amd64 means linux/amd64; may be repeated, or a,b. {more}"
    return typer.Option("--platform", metavar="OS/ARCH", help=text.strip())


def read_platforms(named: Sequence[str] | None) -> list[str]:
    """Return the named platforms, each once; `all` is refused.

    Raises:
        PlatformInvalid: a text is not a platform.
    """
    return list(dict.fromkeys(map(parse_platform, _split(named))))


def read_checked_platforms(named: Sequence[str] | None) -> list[str]:
    """Return the platforms that a command checks: those named, or `all` alone.

    Raises:
        PlatformInvalid: a text is not a platform.
    """
    return [ALL] if includes_all(named) else read_platforms(named)


def choose_platforms(named: Sequence[str] | None) -> list[str]:
    """Return the named platforms, or this machine's if none is named; for `all` an empty list.

    Raises:
        PlatformInvalid: a text is not a platform.
    """
    if includes_all(named):
        return []
    return read_platforms(named) or [own_platform()]


def includes_all(named: Sequence[str] | None) -> bool:
    """Whether `all` is among the names."""
    return ALL in _split(named)


def format_unavailable(image: str, platforms: Sequence[str]) -> str:
    """Return the remark about an image that is not made for some requested platforms."""
    return f"{image} is not made for {', '.join(platforms)}: its other platforms are used"


def format_only(image: str, platform: str) -> str:
    """Return the remark about an image without an index that is made for another platform."""
    return f"{image} is only for {platform}: it is used anyway"


def _split(named: Sequence[str] | None) -> list[str]:
    return [name.strip() for each in named or () for name in each.split(",")]
