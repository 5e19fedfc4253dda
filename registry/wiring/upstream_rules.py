"""Builds what the tables of upstreams say about images: what may be mirrored, and how soon."""

from registry.content.tag_delay import DelayPolicy, TagDelays, UpstreamDelay
from registry.mirror.mirror_rules import MirrorRules, UpstreamRules
from registry.settings.image_patterns import parse_patterns
from registry.settings.model import Settings
from registry.settings.values import format_key


def build_mirror_rules(settings: Settings) -> MirrorRules:
    """Return which images may be mirrored."""
    return MirrorRules(
        {
            name: UpstreamRules(
                parse_patterns(name, upstream, "allow"),
                parse_patterns(name, upstream, "deny"),
                format_key(("upstreams", name, "allow")),
            )
            for name, upstream in settings.upstreams.items()
            if upstream.allow or upstream.deny
        }
    )


def build_tag_delays(settings: Settings) -> TagDelays:
    """Return how long the tags that moved keep their former image."""
    return TagDelays(
        {
            name: UpstreamDelay(
                DelayPolicy(
                    upstream.min_age,
                    refuses_new=upstream.new_tags == "refuse",
                    setting=format_key(("upstreams", name, "min_age")),
                ),
                parse_patterns(name, upstream, "min_age_except"),
            )
            for name, upstream in settings.upstreams.items()
            if upstream.min_age
        }
    )
