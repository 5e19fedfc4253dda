"""Laws of freshness and of the negative cache, in seconds of a simulated clock."""

import math

import pytest

from registry.errors import ManifestUnknown
from registry.mirror import negative_cache
from registry.mirror.freshness import Freshness, find_freshness
from registry.mirror.negative_cache import NegativeCache
from registry.settings.model import TagSettings
from registry.settings.tables import read_table

NOW = 1000.0
ABSENT = ManifestUnknown("r", "t")
TAGS = read_table(TagSettings, {"fresh_for": 60, "stale_for": 600, "immutable": [r"v\d+"]})


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0.0, Freshness.FRESH),
        (60.0, Freshness.FRESH),
        (60.1, Freshness.STALE),
        (600.0, Freshness.STALE),
        (600.1, Freshness.EXPIRED),
        (math.inf, Freshness.EXPIRED),
        (-60.0, Freshness.FRESH),
        (-60.1, Freshness.STALE),
        (-601.0, Freshness.EXPIRED),
    ],
)
def test_age_decides(age: float, expected: Freshness) -> None:
    """A tag is fresh, then stale, then expired; a clock set back makes nothing younger."""
    assert expected is find_freshness(TAGS, "latest", NOW - age, NOW, offline=False)


@pytest.mark.parametrize(("tag", "is_asked"), [("v1", False), ("v1-rc", True), ("xv1", True)])
def test_immutable_tags_stay_fresh(tag: str, is_asked: bool) -> None:
    """A tag matched as a whole by an immutable pattern is never asked for again."""
    found = find_freshness(TAGS, tag, 0.0, 1e9, offline=False)
    assert is_asked is (found is not Freshness.FRESH)


def test_offline_everything_is_fresh() -> None:
    """Offline every tag is fresh, however long ago it was checked."""
    assert Freshness.FRESH is find_freshness(TAGS, "latest", 0.0, 1e9, offline=True)


def test_stale_for_ever() -> None:
    """By default a known tag never expires."""
    assert Freshness.STALE is find_freshness(TagSettings(), "latest", 0.0, 1e12, offline=False)


def test_an_error_is_remembered_for_a_while() -> None:
    """An error is found until `missing_for` seconds are over."""
    memory = NegativeCache(10.0)
    memory.add("key", ABSENT, NOW)

    assert str(ABSENT) == str(memory.find("key", NOW))
    assert str(ABSENT) == str(memory.find("key", NOW + 9.9))
    assert memory.find("key", NOW + 10.0) is None


def test_clock_that_is_set_back_ends_an_error() -> None:
    """Otherwise what is missing would stay so for as long as the clock was set back."""
    memory = NegativeCache(10.0)
    memory.add("key", ABSENT, NOW)
    assert memory.find("key", NOW - 3600) is None

    memory.add("key", ABSENT, NOW - 3600)
    assert str(ABSENT) == str(memory.find("key", NOW - 3591))
    assert memory.find("key", NOW - 3590) is None


def test_other_keys_have_no_error() -> None:
    """An error is found only under its own key."""
    memory = NegativeCache(10.0)
    memory.add("key", ABSENT, NOW)
    assert memory.find("other", NOW) is None


def test_a_later_error_counts() -> None:
    """An error that is added again is remembered from then on."""
    memory = NegativeCache(10.0)
    memory.add("key", ABSENT, NOW)
    memory.add("key", ABSENT, NOW + 9)
    assert str(ABSENT) == str(memory.find("key", NOW + 18))


def test_missing_for_nothing() -> None:
    """With `missing_for = 0` nothing is remembered."""
    memory = NegativeCache(0.0)
    memory.add("key", ABSENT, NOW)
    assert memory.find("key", NOW) is None


def test_entries_are_bounded() -> None:
    """A client that asks for random names does not fill the memory: the oldest are removed."""
    memory = NegativeCache(10.0)
    for number in range(negative_cache.MOST + 5):
        memory.add(number, ABSENT, NOW)

    assert memory.find(4, NOW) is None
    assert str(ABSENT) == str(memory.find(5, NOW))
    assert len(memory._entries) == negative_cache.MOST


def test_every_listener_hears_it_fresh() -> None:
    """Each raise gets a copy of the remembered error, so no traceback is kept."""
    memory = NegativeCache(10.0)
    try:
        raise ABSENT
    except ManifestUnknown as error:
        memory.add("key", error, NOW)

    first, second = memory.find("key", NOW), memory.find("key", NOW)

    assert isinstance(first, ManifestUnknown)
    assert isinstance(second, ManifestUnknown)
    assert first is not second
    assert second.__traceback__ is None
    assert (ABSENT.repository, ABSENT.reference) == (second.repository, second.reference)


def test_what_is_over_makes_room() -> None:
    """Expired entries are removed when others are added, not only when there are too many."""
    memory = NegativeCache(10.0)
    memory.add("old", ABSENT, NOW)
    memory.add("new", ABSENT, NOW + 10)
    assert list(memory._entries) == ["new"]
