"""How long what we know of a tag may be believed. Pure; times in seconds, the clock passed in."""

from enum import Enum

from registry.settings.model import TagSettings


class Freshness(Enum):
    """What may be done with a known tag."""

    FRESH = "fresh"  # served without asking
    STALE = "stale"  # asked for; served anyway when there is no answer
    EXPIRED = "expired"  # asked for; not served without an answer


def judge(tags: TagSettings, tag: str, checked: float, now: float, *, offline: bool) -> Freshness:
    """Judge what was last `checked` at the upstream.

    A clock that was set back makes an age negative: that counts as fresh only within `fresh_for`,
    so that a record from the future cannot stay unasked for ever. Offline there is nobody to ask.
    """
    age = abs(now - checked)
    if offline or age <= tags.fresh_for or tags.is_immutable(tag):
        return Freshness.FRESH
    return Freshness.STALE if age <= tags.stale_for else Freshness.EXPIRED
