"""The eviction plan against a naive model."""

from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.eviction_order import StoredBlobRecord
from registry.content.eviction import plan_eviction
from registry.oci.digest import Digest

numbers = st.integers(0, 30)
stored = st.lists(
    st.tuples(numbers, st.integers(0, 100)), max_size=20, unique_by=lambda pair: pair[0]
)


def make(pairs: list[tuple[int, int]]) -> list[StoredBlobRecord]:
    return [
        StoredBlobRecord(Digest.of(bytes([number])), size, float(place))
        for place, (number, size) in enumerate(pairs)
    ]


@given(stored, st.integers(0, 500), st.integers(0, 500))
def test_plan_frees_no_more_than_it_may(
    pairs: list[tuple[int, int]], wanted: int, most: int
) -> None:
    """What is freed is never more than allowed, and no cold one is spared for a warmer one."""
    blobs = make(pairs)
    victims = plan_eviction(blobs, wanted, most)
    assert sum(blob.size for blob in victims) <= most
    assert victims == [blob for blob in blobs if blob.size][: len(victims)]


@given(stored, st.integers(-10, 1500))
def test_plan_frees_what_is_wanted_from_the_coldest(
    pairs: list[tuple[int, int]], wanted: int
) -> None:
    """Coldest first, no more than needed, and all there is if need be."""
    blobs = make(pairs)

    victims = plan_eviction(blobs, wanted)

    able = [blob for blob in blobs if blob.size]
    freed = sum(blob.size for blob in victims)
    assert victims == able[: len(victims)]
    assert freed >= wanted or victims == able
    assert not victims or freed - victims[-1].size < wanted
