"""What warming would cost, before it is begun; nothing is kept of what is asked for that."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from registry.catalog.rate_limits import RateLimitCatalog
from registry.mirror.blobs import Blobs
from registry.mirror.manifests import Manifests
from registry.mirror.prefetch import choose_manifests, find_absent, find_attestations
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, format_image


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """How many requests an image takes from the pull budget, and the bytes to fetch.

    What is not here yet says neither what it consists of nor how large it is: `most` is then a
    guess (infinity for all platforms), and `missing` None. `absent` are the platforms asked for
    that it is not made for.
    """

    least: int
    most: float
    missing: int | None
    absent: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Budget:
    """`remaining` of `allowed` requests in `period` seconds, as an upstream said when `seen`."""

    allowed: int
    remaining: int
    period: float
    seen: float


class CostEstimator:
    """Foresees costs, and what there is to pay them from."""

    def __init__(
        self,
        manifests: Manifests,
        blobs: Blobs,
        budgets: RateLimitCatalog,
        endpoints: Mapping[str, Sequence[str]],
        clock: Callable[[], float],
    ) -> None:
        """`endpoints` are the origins of each upstream."""
        self._manifests = manifests
        self._blobs = blobs
        self._budgets = budgets
        self._endpoints = endpoints
        self._clock = clock

    async def estimate(
        self,
        repository: Repository,
        reference: Reference,
        platforms: Sequence[str],
        *,
        with_attached: bool,
    ) -> CostEstimate:
        """Ask by HEAD, which is free, what a name leads to, and look what of that is here.

        What refers to the image (signatures, SBOMs) comes on top, where there is any.

        Raises:
            Unknown, UpstreamError, StoreError: the name leads nowhere, as far as can be told.
            PlatformUnknown: it is an index that has none for any of these platforms.
        """
        root = await self._manifests.find_stored(repository, reference)
        if root is None:
            each = 2 if with_attached else 1
            most = 1 + len(platforms) * each if platforms else math.inf
            return CostEstimate(1, most, None)
        chosen = choose_manifests(format_image(repository, reference), root, platforms)
        if with_attached:
            chosen += find_attestations(root, chosen)
        found = [
            root if digest == root.digest else await self._manifests.find_stored(repository, digest)
            for digest in chosen
        ]
        lacking = found.count(None)
        known = [manifest for manifest in found if manifest is not None]
        missing = None if lacking else await self._add_up(known)
        return CostEstimate(lacking, lacking, missing, find_absent(root, platforms))

    async def _add_up(self, manifests: Sequence[Manifest]) -> int:
        blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
        return sum(
            [blob.size for blob in blobs.values() if not await self._blobs.is_here(blob.digest)]
        )

    async def list_budgets(self) -> dict[str, Budget]:
        """Return what upstreams last told of their budgets, where that is not out of date.

        Raises:
            StoreError: the catalog refused.
        """
        now = self._clock()
        found: dict[str, Budget] = {}
        for each in sorted(await self._budgets.list_all(), key=lambda each: each.seen):
            if now < each.seen + each.period:
                budget = Budget(each.allowed, each.remaining, each.period, each.seen)
                for registry, origins in self._endpoints.items():
                    if each.endpoint in origins:
                        found[registry] = budget
        return found
