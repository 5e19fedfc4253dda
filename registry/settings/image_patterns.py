"""The patterns of images in the table of an upstream: `allow`, `deny` and `min_age_except`."""

from collections.abc import Mapping
from dataclasses import dataclass

from registry.errors import InvalidInput
from registry.oci.rule_patterns import RulePattern
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Refusal, format_key

PATTERNS = ("allow", "deny", "min_age_except")  # settings of an upstream


@dataclass(frozen=True, slots=True)
class WrittenPattern:
    """A pattern, its text in the settings, and the setting: `upstreams."docker.io".deny`."""

    pattern: RulePattern
    text: str
    setting: str


def parse_patterns(name: str, upstream: UpstreamSettings, setting: str) -> list[WrittenPattern]:
    """Return the patterns of a setting of the upstream `name`.

    Raises:
        Refusal: one of them cannot be used.
    """
    place = format_key(("upstreams", name, setting))
    found = []
    for text in getattr(upstream, setting):
        try:
            pattern = RulePattern.parse_within(text, name, upstream.aliases)
        except InvalidInput as error:
            cure = f'write for example {setting} = ["team/app", "library/nginx:1.*"]'
            raise Refusal(f"{place}: {error}", cure) from error
        found.append(WrittenPattern(pattern, text, place))
    return found


def check_patterns(upstreams: Mapping[str, UpstreamSettings]) -> Mapping[str, UpstreamSettings]:
    """Return the upstreams unchanged.

    Raises:
        Refusal: one of their patterns cannot be used.
    """
    for name, upstream in upstreams.items():
        for setting in PATTERNS:
            parse_patterns(name, upstream, setting)
    return upstreams
