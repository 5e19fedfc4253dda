"""What expires against a naive model."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.last_used import LastUses
from registry.content.expiry import find_expired
from registry.oci.digest import Digest
from registry.oci.names import Repository

REPOSITORIES = [Repository("docker.io", "library/a"), Repository("ghcr.io", "team/a")]
PATTERNS = ("*", "docker.io/*", "ghcr.io/*", "ghcr.io/team/*", "*/a", "quay.io/*")
NOW = 100

indexes = st.integers(0, 3).map(lambda number: Digest.of(f"index {number}".encode()))
images = st.integers(0, 5).map(lambda number: Digest.of(f"image {number}".encode()))
held = st.dictionaries(
    st.tuples(st.sampled_from(REPOSITORIES), indexes | images), st.integers(0, NOW), max_size=14
)
index_pairs = st.lists(st.tuples(indexes, images), max_size=10, unique=True)
periods = st.dictionaries(st.sampled_from(PATTERNS), st.integers(1, 120), max_size=4)


def find_period(keep_for: Mapping[str, float], repository: Repository) -> float:
    """Return the period of the longest pattern that means the repository."""
    period, longest = float("inf"), -1
    for pattern, seconds in keep_for.items():
        if fnmatchcase(str(repository), pattern) and len(pattern) > longest:
            period, longest = seconds, len(pattern)
    return period


def find_related(uses: LastUses, place: tuple[Repository, Digest], steps: int) -> set[Digest]:
    """Return what a repository has within so many steps up or down from a manifest."""
    repository, digest = place
    here = [pair for pair in uses.indexes if all((repository, each) in uses.last for each in pair)]
    found = {digest}
    for _ in range(steps):
        found = found | {each for pair in here if found & set(pair) for each in pair}
    return found


@given(held, index_pairs, periods)
def test_expiry_is_as_the_naive_model_says(
    last: dict[tuple[Repository, Digest], float],
    pairs: list[tuple[Digest, Digest]],
    keep_for: dict[str, float],
) -> None:
    """A manifest expires if neither it nor any manifest that is used with it was used in time."""
    uses = LastUses(last, pairs)
    expired = set(find_expired(uses, keep_for, NOW))
    for place in last:
        period = find_period(keep_for, place[0])
        is_old = {name: NOW - used > period for name, used in last.items() if name[0] == place[0]}
        near, all_related = (find_related(uses, place, steps) for steps in (2, len(last)))
        if place in expired:
            assert all(is_old[place[0], each] for each in near), "a related manifest was used"
        else:
            assert not all(is_old[place[0], each] for each in all_related), (
                "no related manifest was used"
            )


@given(held, index_pairs, periods)
def test_repositories_expire_on_their_own(
    last: dict[tuple[Repository, Digest], float],
    pairs: list[tuple[Digest, Digest]],
    keep_for: dict[str, float],
) -> None:
    """The expiry of one repository does not depend on any other repository."""
    expired = set(find_expired(LastUses(last, pairs), keep_for, NOW))
    for repository in REPOSITORIES:
        alone = {name: used for name, used in last.items() if name[0] == repository}
        found = set(find_expired(LastUses(alone, pairs), keep_for, NOW))
        assert found == {name for name in expired if name[0] == repository}
