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
        ("docker.io/nginx", "docker.io/library/nginx", "*"),
        ("hub/nginx*:1", "docker.io/library/nginx*", "1"),
        ("docker.io/*nginx", "docker.io/*nginx", "*"),
        ("ghcr.io/nginx", "ghcr.io/nginx", "*"),
    ],
)
def test_patterns(text: str, repositories: str, tags: str) -> None:
    """A registry or a glob, a repository, and perhaps tags; an alias becomes its registry."""
    assert RulePattern.parse(text, KNOWN) == RulePattern(repositories, tags)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nginx",
        "acme/app",
        "ghcr.io/app:",
        "ghcr.io/app@sha256:" + "0" * 64,
        "ghcr.io/",
        "ghcr.io/Acme/*",
        "GHCR.io/acme/*",
        "ghcr.io/acme//*",
        "ghcr.io/acme/app name",
        "ghcr.io/{acme,team}/*",
        "*.IO",
    ],
)
def test_what_is_no_pattern(text: str) -> None:
    """A short name could mean two things; and a deny that matches nothing would protect nothing."""
    with pytest.raises(InvalidInput):
        RulePattern.parse(text, KNOWN)


@pytest.mark.parametrize(
    ("text", "repositories", "tags"),
    [
        ("*", "docker.io/*", "*"),
        ("nginx", "docker.io/library/nginx", "*"),
        ("nginx:1.*", "docker.io/library/nginx", "1.*"),
        ("nginx*", "docker.io/library/nginx*", "*"),
        ("*nginx", "docker.io/*nginx", "*"),
        ("team/app:[v1]*", "docker.io/team/app", "[v1]*"),
        ("docker.io/nginx", "docker.io/library/nginx", "*"),
        ("index.docker.io/team/*", "docker.io/team/*", "*"),
        ("docker.io/foo.bar/app", "docker.io/foo.bar/app", "*"),
    ],
)
def test_patterns_of_one_registry(text: str, repositories: str, tags: str) -> None:
    """The registry may be left out; a plain name of Docker Hub means what it means to docker."""
    parsed = RulePattern.parse_within(text, "docker.io", ["index.docker.io"])
    assert RulePattern(repositories, tags) == parsed


@pytest.mark.parametrize(
    ("text", "repositories"),
    [("app", "registry.lan:5000/app"), ("registry.lan:5000/app", "registry.lan:5000/app")],
)
def test_only_docker_hub_has_short_names(text: str, repositories: str) -> None:
    """At another registry a name without a slash is a whole name."""
    assert RulePattern(repositories) == RulePattern.parse_within(text, "registry.lan:5000")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ghcr.io/app",
        "*.io/app",
        "Team/app",
        "app name",
        "nginx:",
        "docker.io/",
        "nginx@sha256:0",
    ],
)
def test_what_is_no_pattern_of_a_registry(text: str) -> None:
    """What could match nothing, or another registry, is refused: a deny would protect nothing."""
    with pytest.raises(InvalidInput):
        RulePattern.parse_within(text, "docker.io", ["index.docker.io"])
