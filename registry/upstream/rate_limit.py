"""The pull budget an upstream grants, as its headers tell it (Docker Hub's `ratelimit-*`). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_AMOUNT = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Budget:
    """`remaining` of `allowed` pulls in `period` seconds, counted against `source`."""

    endpoint: str
    identity: str
    allowed: int
    remaining: int
    period: float
    source: str


def read_budget(endpoint: str, identity: str, headers: Mapping[str, str]) -> Budget | None:
    """Read the budget from a manifest answer; None where it is not limited, or not said."""
    allowed = _AMOUNT.match(headers.get("ratelimit-limit", ""))
    remaining = _AMOUNT.match(headers.get("ratelimit-remaining", ""))
    if allowed is None or remaining is None:
        return None
    return Budget(
        endpoint=endpoint,
        identity=identity,
        allowed=int(allowed[1]),
        remaining=int(remaining[1]),
        period=float(allowed[2] or remaining[2] or 0),
        source=headers.get("docker-ratelimit-source", "")[:100],
    )


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` in seconds; None when absent or a date (no registry sends one)."""
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
