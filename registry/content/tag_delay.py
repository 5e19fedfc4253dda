"""How long a tag that moved keeps its former image (decision record 0041). Pure.

All times are epoch seconds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.content.tag_history import describe_rollback, format_moment
from registry.oci.names import Repository, Tag
from registry.oci.referrers_tags import is_referrers_tag
from registry.settings.image_patterns import WrittenPattern
from registry.settings.values import format_duration
from registry.store.tag_history import TagHistory


@dataclass(frozen=True, slots=True)
class DelayPolicy:
    """For how many seconds an image has to be known before a tag serves it.

    With `refuses_new`, a tag that was never seen is refused for as long. `setting` is the place of
    the period in the settings.
    """

    min_age: float = 0.0
    refuses_new: bool = False
    setting: str = ""

    @property
    def text(self) -> str:
        """The setting and its value."""
        return f"{self.setting} = {format_duration(self.min_age)}"


NO_DELAY = DelayPolicy()


@dataclass(frozen=True, slots=True)
class UpstreamDelay:
    """The policy of an upstream, and the images to which it does not apply."""

    policy: DelayPolicy
    exceptions: Sequence[WrittenPattern] = ()

    def find(self, repository: Repository, tag: Tag) -> DelayPolicy:
        """Return the policy for a tag."""
        for each in self.exceptions:
            if each.pattern.matches(str(repository)) and each.pattern.matches_tag(tag.name):
                return NO_DELAY
        return self.policy


class TagDelays:
    """The delays of all upstreams."""

    def __init__(self, delays: Mapping[str, UpstreamDelay]) -> None:
        """`delays` are by registry; the others have none."""
        self._delays = dict(delays)

    def find(self, repository: Repository, tag: Tag) -> DelayPolicy:
        """Return the policy for a tag.

        Tags that are made from digests have none: signatures have to come with their image.
        """
        delay = self._delays.get(repository.registry)
        if delay is None or is_referrers_tag(tag):
            return NO_DELAY
        return delay.find(repository, tag)

    def is_delayed(self, repository: Repository, tag: Tag) -> bool:
        """Whether a tag keeps its former image for a while when it moves."""
        return bool(self.find(repository, tag).min_age)


@dataclass(frozen=True, slots=True)
class TagDecision:
    """What a tag serves; `digest` is empty if it is refused.

    The image of the upstream becomes old enough at `due` (infinity: never by itself; 0: it is
    served). `is_rolled_back` says that an operator has chosen the digest.
    """

    digest: str
    due: float = 0.0
    is_rolled_back: bool = False


def decide(history: TagHistory, served: str, policy: DelayPolicy, now: float) -> TagDecision:
    """Return what a tag serves that serves `served` until now (empty: nothing).

    The last digest of the history is what the tag leads to upstream. No other one can become the
    served one by its age: an image that was replaced soon may have been a bad one.
    """
    latest = history.latest
    if history.rolled_back_to:
        return TagDecision(history.rolled_back_to, is_rolled_back=True)
    if latest is None or latest.digest == served:
        return TagDecision(served)
    due = latest.first + policy.min_age
    if latest.released or not policy.min_age or now >= due:
        return TagDecision(latest.digest)
    if served:
        return TagDecision(served, due)
    return TagDecision("", due) if policy.refuses_new else TagDecision(latest.digest)


def describe(decision: TagDecision, history: TagHistory, policy: DelayPolicy) -> str:
    """Return what clients are told about a decision; empty if the tag follows its upstream."""
    if decision.is_rolled_back:
        return describe_rollback(history)
    latest = history.latest
    if not decision.due or latest is None:
        return ""
    return (
        "this is the former image of this tag: since"
        f" {format_moment(latest.first)} it is known here that the tag leads to {latest.digest},"
        f" which is served {describe_due(decision.due)} ({policy.text})"
    )


def describe_due(due: float) -> str:
    """Return when an image is served that is not old enough."""
    if math.isinf(due):
        return "when an operator releases it"
    return f"from {format_moment(due)} on"
