"""Laws of what is learned about an endpoint."""

import pytest

from registry.upstream import learned
from registry.upstream.learned import REMEMBERED, Facts, Learned
from registry.upstream.statuses import Resource


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_facts_are_forgotten() -> None:
    """A fact counts for its time only: the registry may be upgraded."""
    clock = Clock()
    known = Learned(clock)
    known.refuse_head(Resource.MANIFEST)
    known.refuse_ranges()
    known.trust_head(Resource.BLOB, "a")

    clock.now += REMEMBERED - 1
    before = (
        known.is_head_useless(Resource.MANIFEST),
        known.has_no_ranges(),
        known.is_head_trusted(Resource.BLOB, "a"),
    )
    clock.now += 1

    assert before == (True, True, True)
    assert not known.is_head_useless(Resource.MANIFEST)
    assert not known.has_no_ranges()
    assert not known.is_head_trusted(Resource.BLOB, "a")


def test_facts_are_about_one_thing() -> None:
    """What is true of manifests need not be true of blobs, nor of another repository."""
    known = Learned(Clock())
    known.refuse_head(Resource.MANIFEST)
    known.trust_head(Resource.MANIFEST, "a")

    assert not known.is_head_useless(Resource.BLOB)
    assert not known.is_head_trusted(Resource.MANIFEST, "b")
    assert not known.is_head_trusted(Resource.BLOB, "a")


def test_a_range_that_was_answered_is_remembered() -> None:
    """That says nothing about refusals, which are remembered apart."""
    known = Learned(Clock())
    assert not known.are_ranges_trusted()
    known.trust_ranges()
    assert known.are_ranges_trusted()
    assert not known.has_no_ranges()


def test_facts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients can ask for many names: the oldest fact is forgotten."""
    monkeypatch.setattr(learned, "MOST", 2)
    facts = Facts[str, int](Clock())
    for number, name in enumerate(("a", "b", "a", "c")):
        facts.learn(name, number)

    assert [facts.find(name) for name in "abc"] == [2, None, 3]
