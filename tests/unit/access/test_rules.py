"""Laws of rules: the first that matches decides, and without one the answer is no."""

import pytest

from registry.access.principals import ANONYMOUS, Principal
from registry.access.rules import Decision, Rule, Rules
from registry.oci.registries import Registries
from registry.oci.rule_patterns import RulePattern

REGISTRIES = Registries.of("docker.io", {"docker.io": ["hub"], "corp.lan": [], "ghcr.io": []})
ALICE = Principal("alice", frozenset({"dev"}))
BOB = Principal("bob")
APP = "ghcr.io/acme/app"


def rule(name: str, who: str, images: str, *, allow: bool = True) -> Rule:
    patterns = tuple(RulePattern.parse(each, REGISTRIES) for each in images.split())
    return Rule(name, frozenset(who.split()), patterns, allow)


def test_nothing_is_allowed_without_a_rule() -> None:
    """The default is no, for everybody."""
    for principal in (ANONYMOUS, ALICE):
        assert Rules([]).decide(principal, APP, "1") == Decision(is_allowed=False, rule="")


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("*", {"alice", "bob", ""}),
        ("alice", {"alice"}),
        ("@dev", {"alice"}),
        ("anonymous", {""}),
        ("alice bob", {"alice", "bob"}),
        ("dev", set()),
        ("@alice", set()),
    ],
)
def test_who_is_meant(who: str, allowed: set[str]) -> None:
    """A name is not a group, and somebody who has proved nothing is `anonymous`."""
    rules = Rules([rule("r", who, "*")])

    found = {each.name for each in (ALICE, BOB, ANONYMOUS) if rules.decide(each, APP).is_allowed}

    assert found == allowed


def test_nobody_is_called_anonymous() -> None:
    """A group with this name is not the anonymous, and the anonymous are in no group."""
    rules = Rules([rule("r", "@anonymous", "*")])

    assert not rules.decide(ANONYMOUS, APP).is_allowed


def test_the_first_rule_that_matches_decides() -> None:
    """Later rules change nothing, whether they allow or deny."""
    rules = Rules(
        [
            rule("r1", "bob", "ghcr.io/acme/*", allow=False),
            rule("r2", "*", "ghcr.io/*"),
            rule("r3", "*", "ghcr.io/*", allow=False),
        ]
    )

    assert rules.decide(BOB, APP, "1") == Decision(is_allowed=False, rule="r1")
    assert rules.decide(ALICE, APP, "1") == Decision(is_allowed=True, rule="r2")


def test_a_rule_for_everything_does_not_open_a_private_registry() -> None:
    """What needs a password upstream is open only where its registry is spelled out."""
    rules = Rules([rule("r1", "*", "* corp*"), rule("r2", "alice", "corp.lan/*")], {"corp.lan"})

    assert not rules.decide(BOB, "corp.lan/secret", "1").is_allowed
    assert rules.decide(ALICE, "corp.lan/secret", "1") == Decision(is_allowed=True, rule="r2")
    assert rules.decide(BOB, APP, "1").is_allowed


@pytest.mark.parametrize("images", ["*", "*/secret", "corp*"])
def test_a_rule_that_denies_everything_denies_what_is_private_too(images: str) -> None:
    """Whoever is shut out by the first rule is not let in by a later one."""
    rules = Rules(
        [rule("r1", "bob", images, allow=False), rule("r2", "*", "corp.lan/*")], {"corp.lan"}
    )

    assert rules.decide(BOB, "corp.lan/secret", "1") == Decision(is_allowed=False, rule="r1")
    assert rules.decide(ALICE, "corp.lan/secret", "1") == Decision(is_allowed=True, rule="r2")


@pytest.mark.parametrize(
    ("allow", "tag", "expected"),
    [
        (True, "1.2", True),
        (True, "2.0", False),
        (True, None, True),
        (False, "1.2", False),
        (False, "2.0", True),
        (False, None, True),
    ],
)
def test_tags_in_a_pattern(allow: bool, tag: str | None, expected: bool) -> None:
    """They limit which tags may be asked for; what a tag leads to is pulled by digest."""
    rules = Rules([rule("r1", "*", f"{APP}:1.*", allow=allow)])
    if not allow:
        rules = Rules([rule("r1", "*", f"{APP}:1.*", allow=False), rule("r2", "*", "*")])

    assert rules.decide(BOB, APP, tag).is_allowed is expected


def test_an_alias_means_its_registry() -> None:
    """A rule may name a registry by any of its names."""
    rules = Rules([rule("r", "*", "hub/library/*")])

    assert rules.decide(BOB, "docker.io/library/nginx", "1").is_allowed


def test_actions_are_separate() -> None:
    """A rule about pulls says nothing about anything else."""
    rules = Rules([rule("r", "*", "*")])

    assert not rules.decide(BOB, APP, "1", "push").is_allowed
