"""Laws of one run of a prefetch: errors of one image, and the pull limit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from registry.errors import EntrepotError, ManifestUnknown, PullsReserved, UpstreamThrottled
from registry.mirror.prefetch import PrefetchResult
from registry.mirror.prefetch_cost import CostEstimate
from registry.mirror.prefetch_run import Image, PrefetchCounts, PrefetchRun
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag
from registry.oci.rate_limits import RateLimit

DIGEST = Digest.of(b"")


def name(text: str, registry: str = "docker.io") -> Image:
    return Repository(registry, text), Tag("1")


@dataclass
class Upstream:
    """Plays `Prefetcher` and `CostEstimator`: each image costs `cost` requests of `left`.

    Of those in `unknown`, nobody knows the cost before their manifest was fetched, which is one.
    """

    cost: int = 1
    left: int | None = None
    failures: dict[str, EntrepotError] = field(default_factory=dict)
    partly: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    held_back: set[str] = field(default_factory=set)
    fetched: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    async def estimate(
        self, repository: Repository, _: Reference, __: Sequence[str], *, with_attached: bool
    ) -> CostEstimate:
        assert with_attached
        if repository.name in self.unknown:
            return CostEstimate(1, math.inf, None)
        return CostEstimate(self.cost, self.cost, None)

    async def fetch_root(self, repository: Repository, _: Reference) -> None:
        assert self.left is not None
        self.unknown.remove(repository.name)
        self.left, self.cost = self.left - 1, self.cost - 1

    async def list_rate_limits(self) -> dict[str, RateLimit]:
        if self.left is None:
            return {}
        return {"docker.io": RateLimit("https://a", "", 100, self.left, 3600.0, "", 0.0)}

    async def warm(
        self,
        repository: Repository,
        _: Reference,
        platforms: Sequence[str],
        *,
        with_attached: bool,
    ) -> PrefetchResult:
        if failure := self.failures.get(repository.name):
            raise failure
        self.fetched.append((repository.name, platforms))
        if self.left is not None and repository.registry == "docker.io":
            self.left -= self.cost
        failures = [self.partly[repository.name]] if repository.name in self.partly else []
        result = PrefetchResult(DIGEST, fetched=10, failures=failures)
        if repository.name in self.held_back:
            result.add_failure(PullsReserved("https://a", 20, 20))
        return result


async def run(upstream: Upstream, *images: Image, keep_pulls: int = 20) -> PrefetchCounts:
    async def choose(_: Image) -> Sequence[str]:
        return ["linux/arm64"]

    prefetch = PrefetchRun(upstream, upstream, choose, keep_pulls)  # type: ignore[arg-type]
    return await prefetch.fetch_all(images)


async def test_an_error_of_one_image_does_not_end_the_run() -> None:
    """Each image is tried, whatever happened to those before."""
    upstream = Upstream(
        failures={"b": ManifestUnknown("docker.io/b", "1")}, partly={"c": "a blob is missing"}
    )

    counts = await run(upstream, *map(name, "abcd"))

    assert counts == PrefetchCounts(images=4, complete=2, failed=2, skipped=0, fetched=30)
    assert upstream.fetched == [(each, ["linux/arm64"]) for each in "acd"]


async def test_so_many_pulls_are_left_for_clients() -> None:
    """Images are skipped that would leave less of the pull limit than the settings say."""
    upstream = Upstream(cost=2, left=25)

    counts = await run(upstream, *map(name, "abcd"), name("e", "quay.io"), keep_pulls=20)

    assert (counts.complete, counts.skipped, upstream.left) == (3, 2, 21)
    assert [each for each, _ in upstream.fetched] == ["a", "b", "e"]


@pytest.mark.parametrize(("left", "fetched"), [(32, ["a"]), (31, []), (20, [])])
async def test_an_index_may_cost_more_than_one_pull(left: int, fetched: list[str]) -> None:
    """An image of which nothing is known is looked at first; all its manifests count."""
    upstream = Upstream(cost=12, left=left, unknown={"a"})

    counts = await run(upstream, name("a"), keep_pulls=20)

    assert counts.skipped == 1 - len(fetched)
    assert [each for each, _ in upstream.fetched] == fetched
    assert upstream.left is not None
    assert upstream.left >= 20


async def test_what_is_stored_needs_no_pulls() -> None:
    """If the limit is used up, an image that needs no counted request is still completed."""
    counts = await run(Upstream(cost=0, left=0), *map(name, "ab"))

    assert (counts.complete, counts.skipped) == (2, 0)


async def test_a_registry_that_refuses_is_not_asked_again() -> None:
    """After a 429 the other images of the registry are skipped, and those of others are not."""
    upstream = Upstream(failures={"a": UpstreamThrottled("https://a", "says 429", None)})

    counts = await run(upstream, *map(name, "abc"), name("d", "quay.io"))

    assert counts == PrefetchCounts(images=4, complete=1, failed=1, skipped=2, fetched=10)


async def test_an_image_without_its_signatures_was_skipped() -> None:
    """What the reserve refused is no failure: the next run completes it. Others are still tried."""
    refused = PullsReserved("https://a", 20, 20)
    upstream = Upstream(failures={"a": refused}, held_back={"b"})

    counts = await run(upstream, *map(name, "abc"))

    assert counts == PrefetchCounts(images=3, complete=1, failed=0, skipped=2, fetched=20)
