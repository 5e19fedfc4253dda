"""Platforms on the command line: `linux/amd64,linux/arm64`, or the option repeated."""

from collections.abc import Sequence

from registry.oci.platforms import ALL, own_platform, parse_platform


def read_platforms(named: Sequence[str] | None) -> list[str]:
    """Return the platforms that were named, each once.

    Raises:
        PlatformInvalid: one of them is none.
    """
    return list(dict.fromkeys(map(parse_platform, _split(named))))


def read_wished(named: Sequence[str] | None) -> list[str]:
    """Return the platforms to take: without a name this machine's, and for `all` none at all.

    Raises:
        PlatformInvalid: one of them is none.
    """
    if wishes_all(named):
        return []
    return read_platforms(named) or [own_platform()]


def wishes_all(named: Sequence[str] | None) -> bool:
    """Whether `all` is among the names."""
    return ALL in _split(named)


def tell_absent(image: str, absent: Sequence[str]) -> str:
    """Say which platforms were asked for that an image is not made for."""
    return f"{image} is not made for {', '.join(absent)}: taken without"


def tell_foreign(image: str, platform: str) -> str:
    """Say for which platform an image is that has no index to choose from."""
    return f"{image} is only for {platform}: taken as it is"


def _split(named: Sequence[str] | None) -> list[str]:
    return [name.strip() for each in named or () for name in each.split(",")]
