"""Laws of the patterns of rules: they are full names, so that nobody reads them in two ways."""

import pytest

from registry.errors import InvalidInput
from registry.oci.registries import Registries
from registry.oci.rule_patterns import RulePattern

KNOWN = Registries.of("docker.io", {"docker.io": ["hub"], "registry.lan:5000": ["lan"]})


@pytest.mark.parametrize(
    ("text", "repositories", "tags"),
    [
        ("*", "*", "*"),
        ("ghcr.io/*", "ghcr.io/*", "*"),
        ("docker.io/library/nginx:1.*", "docker.io/library/nginx", "1.*"),
        ("hub/library/*", "docker.io/library/*", "*"),
        ("registry.lan:5000/app", "registry.lan:5000/app", "*"),
        ("registry.lan:5000/app:v?", "registry.lan:5000/app", "v?"),
        ("lan/app", "registry.lan:5000/app", "*"),
        ("*.io/app", "*.io/app", "*"),
    ],
)
def test_patterns(text: str, repositories: str, tags: str) -> None:
    """A registry or a glob, a repository, and perhaps tags; an alias becomes its registry."""
    assert RulePattern.parse(text, KNOWN) == RulePattern(repositories, tags)


@pytest.mark.parametrize(
    "text", ["", "nginx", "acme/app", "ghcr.io/app:", "ghcr.io/app@sha256:" + "0" * 64, "ghcr.io/"]
)
def test_what_is_no_pattern(text: str) -> None:
    """A short name could mean two things, and a digest needs no rule."""
    with pytest.raises(InvalidInput):
        RulePattern.parse(text, KNOWN)
