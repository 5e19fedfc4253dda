"""Laws of who may say what a tag means: who is asked, and whose answer counts."""

import pytest

from registry.errors import (
    TagDisputed,
    TagUnconfirmed,
    UpstreamDenied,
    UpstreamError,
    UpstreamLoop,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.oci.digest import Digest
from registry.settings.upstreams import Names
from registry.upstream.tag_policy import (
    Statement,
    TagPolicy,
    advising,
    explain_undecided,
    find_agreed,
    find_decisive,
    list_others,
)

OLD, NEW = Digest.of(b"old"), Digest.of(b"new")
HUB, NEAR, FAR = "https://hub.example", "https://near.example", "https://far.example"


def say(origin: str, digest: Digest | None, *, is_trusted: bool = False) -> Statement:
    return Statement(origin, digest, is_trusted)


@pytest.mark.parametrize(
    ("names", "trusted", "not_asked", "spared"),
    [
        ("trusted", {HUB}, {NEAR, FAR}, {HUB}),
        ("trusted", {HUB, NEAR}, {FAR}, {HUB, NEAR}),
        ("trusted", {HUB, NEAR, FAR}, set(), set()),
        ("trusted", set(), set(), set()),
        ("agree", {HUB}, set(), set()),
        ("first", {HUB}, set(), set()),
    ],
)
def test_who_is_asked(
    names: Names, trusted: set[str], not_asked: set[str], spared: set[str]
) -> None:
    """Those that are not trusted are left out, unless none is trusted, or the setting asks all."""
    policy = TagPolicy(names, (NEAR, HUB, FAR), frozenset(trusted))

    assert (policy.not_asked, policy.spared) == (not_asked, spared)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], None),
        ([(NEAR, NEW)], None),
        ([(NEAR, NEW), (FAR, NEW)], NEW),
        ([(NEAR, NEW), (FAR, OLD)], None),
        ([(NEAR, OLD), (HUB, NEW), (FAR, NEW)], NEW),
        ([(NEAR, None), (FAR, None)], None),
        ([(NEAR, NEW), (FAR, None)], None),
        ([(NEAR, NEW), (f"{NEAR}:8443", NEW)], None),
        ([(NEAR, NEW), (NEAR, NEW)], None),
    ],
)
def test_two_hosts_agree(said: list[tuple[str, Digest | None]], expected: Digest | None) -> None:
    """Two endpoints at one host are one voice, and "there is no such tag" is no digest."""
    assert find_agreed([say(*each) for each in said]) == expected


def test_trusted_one_decides() -> None:
    """If there are several, one that has the tag decides, and none that is not trusted does."""
    absent = say(HUB, None, is_trusted=True)
    present = say(NEAR, NEW, is_trusted=True)
    stranger = say(FAR, OLD)

    assert find_decisive([stranger]) is None
    assert find_decisive([stranger, absent]) == absent
    assert find_decisive([stranger, absent, present]) == present


def test_who_says_something_else() -> None:
    """An endpoint without the tag contradicts nobody."""
    said = [say(HUB, NEW), say(NEAR, None), say(FAR, OLD)]

    assert list_others(said, NEW) == {FAR: OLD}


def test_dispute_names_both_answers_and_the_cure() -> None:
    """The log has the addresses; clients get the digests and the cure without them."""
    error = explain_undecided("docker.io", [say(NEAR, NEW), say(FAR, OLD)], {})

    assert isinstance(error, TagDisputed)
    for text in (NEAR, FAR, str(NEW), str(OLD), "trusted = [...]", '[upstreams."docker.io"]'):
        assert text in str(error)
    assert str(NEW) in error.public
    assert str(OLD) in error.public
    assert "pull by digest" in error.public
    assert "example" not in error.public


def test_only_answer_names_the_cure() -> None:
    """The message says who said it, why the others said nothing, and what to write."""
    reasons = {FAR: "no connection"}
    error = explain_undecided("docker.io", [say(NEAR, NEW), say(HUB, None)], reasons)

    assert isinstance(error, TagUnconfirmed)
    for text in (NEAR, str(NEW), f"{FAR}: no connection", 'names = "trusted" or "first"'):
        assert text in str(error)
    assert "two have to agree" in error.public
    assert "example" not in error.public


@pytest.mark.parametrize(
    ("error", "is_advised"),
    [
        (UpstreamUnreachable(HUB, "down"), True),
        (UpstreamThrottled(HUB, "429", 60.0), True),
        (UpstreamDenied(HUB, "401"), False),
        (UpstreamLoop(HUB), False),
    ],
)
def test_error_of_the_trusted_says_who_was_not_asked(
    error: UpstreamError, is_advised: bool
) -> None:
    """The error keeps its class and its facts; without others that could be asked it is as it was.

    A refusal is about the content, and a circle is about the settings of the endpoint itself.
    """
    with pytest.raises(type(error)) as caught, advising("docker.io", {NEAR}):
        raise error
    with pytest.raises(type(error)) as bare, advising("docker.io", ()):
        raise error

    assert ('names = "agree" or "first"' in caught.value.public) is is_advised
    assert caught.value.retry_after == error.retry_after
    assert bare.value is error
    assert "names" not in str(error)
