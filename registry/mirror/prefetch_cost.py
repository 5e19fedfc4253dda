"""Estimating the cost of prefetching an image: requests and bytes. Nothing is stored."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from registry.catalog.rate_limits import RateLimitCatalog
from registry.mirror.blobs import Blobs
from registry.mirror.manifests import Manifests
from registry.mirror.prefetch import choose_manifests, find_attestations, find_unavailable
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, format_image
from registry.oci.rate_limits import RateLimit


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """How many requests of the pull limit, and how many bytes, prefetching an image takes.

    `least` and `most` are numbers of requests, `missing` is in bytes. If the manifest of the image
    is not stored, `most` is a guess (infinity for all platforms) and `missing` is None.
    `unavailable` are the wanted platforms for which the image has no manifest.
    """

    least: int
    most: float
    missing: int | None
    unavailable: list[str] = field(default_factory=list)


class CostEstimator:
    """Estimates the cost of images, and lists the pull limits of the upstreams."""

    def __init__(
        self,
        manifests: Manifests,
        blobs: Blobs,
        limits: RateLimitCatalog,
        endpoints: Mapping[str, Sequence[tuple[str, str]]],
        clock: Callable[[], float],
    ) -> None:
        """`endpoints` has the endpoints by upstream: the origin of each, and its user or ""."""
        self._manifests = manifests
        self._blobs = blobs
        self._limits = limits
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
        """Ask for the digest of the image by HEAD, and estimate the cost of its missing parts.

        A HEAD does not count against the pull limit. Requests for signatures and SBOMs that the
        image may have are not included.

        Raises:
            Unknown, UpstreamError: the upstream does not have the image, or does not answer.
            PlatformUnknown: it is an index without a manifest for any of these platforms.
            StoreError: the disk or the catalog refused.
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
        requests = found.count(None)
        stored = [manifest for manifest in found if manifest is not None]
        missing = None if requests else await self._add_up_missing(repository, stored)
        return CostEstimate(requests, requests, missing, find_unavailable(root, platforms))

    async def _add_up_missing(self, repository: Repository, manifests: Sequence[Manifest]) -> int:
        """Return the bytes of all blobs that these manifests refer to and that are not here."""
        blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
        return sum(
            [
                blob.size
                for blob in blobs.values()
                if not await self._blobs.is_here(repository, blob.digest)
            ]
        )

    async def list_rate_limits(self) -> dict[str, RateLimit]:
        """Return the last known pull limit of each upstream, if its period is not over yet.

        Limits of other users, and of endpoints that are not used any more, do not count.

        Raises:
            StoreError: the catalog refused.
        """
        now = self._clock()
        found: dict[str, RateLimit] = {}
        for limit in sorted(await self._limits.list_all(), key=lambda each: each.seen):
            if limit.is_current(now):
                for registry, endpoints in self._endpoints.items():
                    if (limit.endpoint, limit.identity) in endpoints:
                        found[registry] = limit
        return found
