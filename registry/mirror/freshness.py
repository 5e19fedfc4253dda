"""How long a known tag is served without asking its upstream. Pure; all times are in seconds."""

from enum import Enum

from registry.settings.model import TagSettings


class Freshness(Enum):
    """What the mirror does with a tag whose manifest it knows."""

    FRESH = "fresh"  # it serves the manifest without asking the upstream
    STALE = "stale"  # it asks, and serves the manifest also when the upstream does not answer
    EXPIRED = "expired"  # it asks, and serves the manifest only if the upstream confirms it


def find_freshness(
    tags: TagSettings, tag: str, checked: float, now: float, *, offline: bool
) -> Freshness:
    """Return the freshness of a tag that its upstream confirmed at `checked` (epoch seconds).

    If a clock was set back, `checked` may be later than `now`. The tag is then fresh only if the
    two differ by at most `fresh_for`; otherwise the upstream would not be asked for a very long
    time. An offline mirror has no upstream to ask, so every tag is fresh.
    """
    age = abs(now - checked)
    if offline or age <= tags.fresh_for or tags.is_immutable(tag):
        return Freshness.FRESH
    return Freshness.STALE if age <= tags.stale_for else Freshness.EXPIRED
