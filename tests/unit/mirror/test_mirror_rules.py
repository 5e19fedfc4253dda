"""Laws of what may be mirrored: deny comes first, then allow, and digests have no tag."""

import pytest

from registry.errors import NotMirrored
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag
from registry.settings.model import Settings
from registry.settings.upstreams import UpstreamSettings
from registry.wiring.upstream_rules import build_mirror_rules

DIGEST = Digest.of(b"any")
SIGNATURE = Tag(f"sha256-{DIGEST.encoded}.sig")


def find_refusal(
    repository: str,
    reference: Reference | None,
    *,
    allow: tuple[str, ...] = (),
    deny: tuple[str, ...] = (),
) -> str:
    """Return why Docker Hub with these patterns refuses something; empty if it does not."""
    hub = UpstreamSettings(("https://hub.test",), default=True, allow=allow, deny=deny)
    other = UpstreamSettings(("https://other.test",))
    rules = build_mirror_rules(Settings(upstreams={"docker.io": hub, "other.test": other}))
    registry, _, name = repository.partition("/")
    try:
        rules.check(Repository(registry, name), reference)
    except NotMirrored as refused:
        return refused.why
    return ""


NGINX, TEAM = "docker.io/library/nginx", "docker.io/team/app"


@pytest.mark.parametrize(
    ("repository", "reference", "allow", "deny"),
    [
        (NGINX, Tag("1"), (), ()),
        (NGINX, Tag("1"), ("nginx",), ()),
        (NGINX, Tag("1"), ("team/*", "library/*"), ("team/*",)),
        (NGINX, Tag("1.27"), ("nginx:1.*",), ("nginx:latest",)),
        (NGINX, DIGEST, ("nginx:1.*",), ()),
        (NGINX, DIGEST, (), ("nginx:latest",)),
        (NGINX, None, (), ("nginx:latest",)),
        (NGINX, SIGNATURE, ("nginx:1.*",), ("nginx:sha256-*",)),
        ("other.test/library/nginx", Tag("1"), ("team/*",), ("*",)),
    ],
)
def test_what_is_mirrored(
    repository: str, reference: Reference | None, allow: tuple[str, ...], deny: tuple[str, ...]
) -> None:
    """What no pattern denies, if a pattern allows it or there is none; of this upstream only."""
    assert find_refusal(repository, reference, allow=allow, deny=deny) == ""


@pytest.mark.parametrize(
    ("repository", "reference", "allow", "deny", "why"),
    [
        (NGINX, Tag("1"), ("nginx",), ("*",), 'upstreams."docker.io".deny has "*"'),
        (NGINX, DIGEST, (), ("library/*",), 'upstreams."docker.io".deny has "library/*"'),
        (NGINX, None, (), ("nginx",), 'upstreams."docker.io".deny has "nginx"'),
        (NGINX, Tag("latest"), (), ("nginx:latest",), '"nginx:latest"'),
        (NGINX, Tag("latest"), ("nginx:1.*",), (), 'no pattern of upstreams."docker.io".allow'),
        (TEAM, DIGEST, ("nginx:1.*",), (), 'no pattern of upstreams."docker.io".allow'),
        (TEAM, SIGNATURE, ("nginx",), (), 'no pattern of upstreams."docker.io".allow'),
    ],
)
def test_what_is_refused(
    repository: str,
    reference: Reference | None,
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    why: str,
) -> None:
    """The reason names the setting, and the pattern that denies."""
    assert why in find_refusal(repository, reference, allow=allow, deny=deny)


def test_lists_show_what_is_mirrored() -> None:
    """A list loses what may not be mirrored, and what the client may not see for other reasons."""
    hub = UpstreamSettings(("https://hub.test",), default=True, deny=("nginx:latest", "team/*"))
    rules = build_mirror_rules(Settings(upstreams={"docker.io": hub}))

    see = rules.narrow(lambda name, _: name != "docker.io/library/secret")

    assert see(NGINX, "1")
    assert see(NGINX, None)
    assert see("other.test/team/app", "1")
    assert not see(NGINX, "latest")
    assert not see(TEAM, None)
    assert not see("docker.io/library/secret", "1")
