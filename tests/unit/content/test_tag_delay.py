"""Laws of the delay of tags: what a tag serves, by its history and the settings."""

import math

import pytest

from registry.content.tag_delay import NO_DELAY, DelayPolicy, TagDecision, decide, describe
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.settings.model import Settings
from registry.settings.upstreams import UpstreamSettings
from registry.store.tag_history import TagHistory
from registry.wiring.upstream_rules import build_tag_delays

OLD, NEW, NEWER = (str(Digest.of(name)) for name in (b"old", b"new", b"newer"))
WEEK = 7 * 86_400.0
POLICY = DelayPolicy(WEEK, setting='upstreams."docker.io".min_age')
REFUSING = DelayPolicy(WEEK, refuses_new=True)
ENDLESS = DelayPolicy(math.inf)
SEEN = TagHistory().see(OLD, 0.0)
MOVED = SEEN.see(NEW, 1000.0, served=OLD)
DUE = 1000.0 + WEEK


@pytest.mark.parametrize(
    ("history", "served", "policy", "now", "decision"),
    [
        pytest.param(MOVED, OLD, NO_DELAY, 1000.0, TagDecision(NEW), id="no delay"),
        pytest.param(MOVED, OLD, POLICY, 1000.0, TagDecision(OLD, DUE), id="moved just now"),
        pytest.param(MOVED, OLD, POLICY, DUE - 1, TagDecision(OLD, DUE), id="a second too early"),
        pytest.param(MOVED, OLD, POLICY, DUE, TagDecision(NEW), id="old enough"),
        pytest.param(MOVED, NEW, POLICY, 1001.0, TagDecision(NEW), id="served already"),
        pytest.param(
            MOVED.release(NEW, 1001.0), OLD, POLICY, 1001.0, TagDecision(NEW), id="released"
        ),
        pytest.param(
            MOVED.release(OLD, 1001.0), OLD, POLICY, 1001.0, TagDecision(OLD, DUE), id="another one"
        ),
        pytest.param(
            MOVED.see(NEWER, 2000.0),
            OLD,
            POLICY,
            DUE,
            TagDecision(OLD, 2000.0 + WEEK),
            id="what was replaced is never served",
        ),
        pytest.param(
            MOVED.see(OLD, DUE + 5), NEW, POLICY, DUE + 5, TagDecision(OLD), id="it has come back"
        ),
        pytest.param(
            MOVED.see(OLD, 2000.0, served=OLD).see(NEW, DUE, served=OLD),
            OLD,
            POLICY,
            DUE,
            TagDecision(OLD, DUE + WEEK),
            id="what was withdrawn has come back",
        ),
        pytest.param(SEEN, "", POLICY, 0.0, TagDecision(OLD), id="never seen"),
        pytest.param(SEEN, "", REFUSING, 0.0, TagDecision("", WEEK), id="never seen, and refused"),
        pytest.param(SEEN, "", REFUSING, WEEK, TagDecision(OLD), id="known for long enough"),
        pytest.param(
            SEEN.release(OLD, 1.0), "", REFUSING, 1.0, TagDecision(OLD), id="refused and released"
        ),
        pytest.param(MOVED, OLD, ENDLESS, 1e12, TagDecision(OLD, math.inf), id="until released"),
        pytest.param(
            MOVED.roll_back(OLD, 1.0, has_pin=False),
            NEW,
            POLICY,
            1e12,
            TagDecision(OLD, is_rolled_back=True),
            id="rolled back",
        ),
        pytest.param(TagHistory(), OLD, POLICY, 1.0, TagDecision(OLD), id="nothing is known"),
    ],
)
def test_what_a_tag_serves(
    history: TagHistory, served: str, policy: DelayPolicy, now: float, decision: TagDecision
) -> None:
    """The image of the upstream if it is old enough or released, and else the served one."""
    assert decision == decide(history, served, policy, now)


def test_clients_are_told() -> None:
    """The warning names the newer image, since when it is known, from when on, and the setting."""
    text = describe(decide(MOVED, OLD, POLICY, 1000.0), MOVED, POLICY)

    assert f"since 1970-01-01 00:16 UTC it is known here that the tag leads to {NEW}" in text
    assert 'served from 1970-01-08 00:16 UTC on (upstreams."docker.io".min_age = 7d)' in text
    assert ";" not in text  # between two warnings
    assert describe(decide(MOVED, OLD, ENDLESS, 1e9), MOVED, ENDLESS).endswith(
        "served when an operator releases it ( = forever)"
    )
    assert describe(TagDecision(NEW), MOVED, POLICY) == ""


@pytest.mark.parametrize(
    ("repository", "tag", "is_delayed"),
    [
        ("docker.io/library/nginx", "1", True),
        ("docker.io/team/app", "1", False),
        ("docker.io/library/debian", "12-slim", False),
        ("docker.io/library/debian", "12", True),
        ("docker.io/library/nginx", f"sha256-{'0' * 64}.sig", False),
        ("other.test/library/nginx", "1", False),
    ],
)
def test_which_tags_are_delayed(repository: str, tag: str, *, is_delayed: bool) -> None:
    """Those of an upstream with min_age, without its exceptions and without signatures."""
    hub = UpstreamSettings(
        ("https://hub.test",),
        default=True,
        min_age=WEEK,
        min_age_except=("team/*", "debian:*-slim"),
    )
    other = UpstreamSettings(("https://other.test",))
    delays = build_tag_delays(Settings(upstreams={"docker.io": hub, "other.test": other}))
    registry, _, name = repository.partition("/")

    policy = delays.find(Repository(registry, name), Tag(tag))

    assert (policy.min_age > 0) is is_delayed
