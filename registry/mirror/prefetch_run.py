"""One run of a prefetch: downloading a list of images, inside the pull limits."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from registry.errors import EntrepotError, PullsReserved, UpstreamThrottled
from registry.logs import get_logger
from registry.mirror.prefetch import Prefetcher, format_failure
from registry.mirror.prefetch_cost import CostEstimator
from registry.oci.names import Reference, Repository, format_image

Image = tuple[Repository, Reference]


@dataclass(slots=True)
class PrefetchCounts:
    """What a run did: of `images`, so many were `complete` at its end, `failed`, or `skipped`.

    Those were skipped that the pull limit did not allow, or not completely: their signatures may be
    missing. `fetched` bytes were downloaded.
    """

    images: int = 0
    complete: int = 0
    failed: int = 0
    skipped: int = 0
    fetched: int = 0


class PrefetchRun:
    """Downloads images one after the other; `choose_platforms` says which of their platforms.

    An empty list means all of them. An image is not begun if fewer than `keep_pulls` requests of
    the registry's pull limit would be left. What an image needs beyond the estimate is refused by
    the `PullReserve` of the endpoint.
    """

    def __init__(
        self,
        prefetcher: Prefetcher,
        estimator: CostEstimator,
        choose_platforms: Callable[[Image], Awaitable[Sequence[str]]],
        keep_pulls: int,
    ) -> None:
        self.counts = PrefetchCounts()
        self._prefetcher = prefetcher
        self._estimator = estimator
        self._choose_platforms = choose_platforms
        self._keep_pulls = keep_pulls
        self._throttled: set[str] = set()
        self._log = get_logger("registry.mirror")

    async def fetch_all(self, images: Iterable[Image]) -> PrefetchCounts:
        """Download what is missing of the images; an error of one of them stops no other."""
        for image in images:
            self.counts.images += 1
            try:
                await self._fetch(image)
            except PullsReserved:
                self.counts.skipped += 1
            except EntrepotError as error:
                self._note_failure(image, format_failure(error))
                if isinstance(error, UpstreamThrottled):
                    self._throttled.add(image[0].registry)
        return self.counts

    async def _fetch(self, image: Image) -> None:
        registry = image[0].registry
        if registry in self._throttled:
            self.counts.skipped += 1
            return
        platforms = await self._choose_platforms(image)
        cost = await self._estimator.estimate(*image, platforms, with_attached=True)
        if cost.least < cost.most and await self._may_ask(registry, cost.least):
            # That was a guess: the manifest of the image says what else is needed.
            await self._prefetcher.fetch_root(*image)
            cost = await self._estimator.estimate(*image, platforms, with_attached=True)
        if not await self._may_ask(registry, cost.most):
            self.counts.skipped += 1
            return
        result = await self._prefetcher.warm(*image, platforms, with_attached=True)
        self.counts.fetched += result.fetched
        if result.failures:
            self._note_failure(image, "; ".join(result.failures))
        elif result.is_held_back:
            self.counts.skipped += 1
        else:
            self.counts.complete += 1

    async def _may_ask(self, registry: str, requests: float) -> bool:
        """Whether so many requests leave enough of the pull limit, by its last known figures."""
        if not requests:
            return True
        limit = (await self._estimator.list_rate_limits()).get(registry)
        return limit is None or limit.allows(requests, self._keep_pulls)

    def _note_failure(self, image: Image, why: str) -> None:
        self.counts.failed += 1
        self._log.warning("image not prefetched", image=format_image(*image), why=why)
