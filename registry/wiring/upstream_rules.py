"""Builds what the tables of upstreams say about images: what may be mirrored."""

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
