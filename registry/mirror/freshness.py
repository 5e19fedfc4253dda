"""How long a known tag is served without asking its upstream. Pure; all times are in seconds."""

from enum import Enum

from registry.catalog.tag_hold import NO_HOLD, TagHold
from registry.settings.model import TagSettings


class Freshness(Enum):
    """What the mirror does with a tag whose manifest it knows."""

    FRESH = "fresh"  # it serves the manifest without asking the upstream
    STALE = "stale"  # it asks, and serves the manifest also when the upstream does not answer
    EXPIRED = "expired"  # it asks, and serves the manifest only if the upstream confirms it


def find_freshness(
    tags: TagSettings,
    tag: str,
    checked: float,
    now: float,
    *,
    offline: bool,
    hold: TagHold = NO_HOLD,
) -> Freshness:
    """Return the freshness of a tag that its upstream confirmed at `checked` (epoch seconds).

    A tag with a `hold` that is due is asked about again, and a tag that was rolled back never is.

    If a clock was set back, `checked` may be later than `now`. The tag is then fresh only if the
    two differ by at most `fresh_for`; otherwise the upstream would not be asked for a very long
    time. An offline mirror has no upstream to ask, so every tag is fresh.
    """
    if hold.is_rolled_back and not hold.due:
        return Freshness.FRESH
    age = abs(now - checked)
    is_fresh = offline or age <= tags.fresh_for
    if not hold.due:
        is_fresh = is_fresh or tags.is_immutable(tag)
    elif hold.is_due(now):
        is_fresh = False
    if is_fresh:
        return Freshness.FRESH
    return Freshness.STALE if age <= tags.stale_for else Freshness.EXPIRED
