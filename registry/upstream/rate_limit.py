"""The pull limit of an upstream, as its headers describe it (Docker Hub's `ratelimit-*`). Pure."""

import re
from collections.abc import Mapping

from registry.oci.rate_limits import RateLimit

_AMOUNT = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9}))?")


def read_rate_limit(
    endpoint: str, identity: str, headers: Mapping[str, str], now: float
) -> RateLimit | None:
    """Read the pull limit from the headers of an answer to a request for a manifest.

    None if the headers have no limit. `now` is in epoch seconds.
    """
    allowed = _AMOUNT.match(headers.get("ratelimit-limit", ""))
    remaining = _AMOUNT.match(headers.get("ratelimit-remaining", ""))
    if allowed is None or remaining is None:
        return None
    return RateLimit(
        endpoint=endpoint,
        identity=identity,
        allowed=int(allowed[1]),
        remaining=int(remaining[1]),
        period=float(allowed[2] or remaining[2] or 0),
        source=headers.get("docker-ratelimit-source", "")[:100],
        seen=now,
    )


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` in seconds; None if it is missing, or a date (no registry sends dates)."""
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
