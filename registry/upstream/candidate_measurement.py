"""Measuring all candidates for the endpoints of an upstream: in which order, and for how long."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from registry.errors import EntrepotError
from registry.oci.digest import Digest
from registry.settings.known_images import AskedImage
from registry.upstream.candidate import Candidate, Layer, Step
from registry.upstream.candidate_comparison import (
    agree_on_digests,
    compare_samples,
    list_different,
)
from registry.upstream.candidate_sample import CandidateSample
from registry.upstream.candidate_steps import CandidateSteps, limited_by
from registry.upstream.endpoint import Endpoint

AT_ONCE = 8  # candidates whose short steps are measured at the same time


@dataclass(frozen=True, slots=True)
class Probe:
    """A candidate, and what asks it: as the mirror would if it were the only endpoint."""

    candidate: Candidate
    endpoint: Endpoint
    steps: CandidateSteps


class CandidateMeasurement:
    """Measures candidates by `probes`, which use `client`; it is opened and closed here.

    `images` are asked for, and the layer to download is of the first of them that can be had. Each
    candidate has `limit` seconds. `candidates` are in the order of `probes`, and `agreed` has the
    digests of the images that are taken for right; both can be read while `run` is running.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        probes: Sequence[Probe],
        images: Sequence[AskedImage],
        limit: float,
    ) -> None:
        self.candidates = [probe.candidate for probe in probes]
        self.agreed: dict[str, Digest] = {}
        self.layer: Layer | None = None
        self._why_no_layer = ""
        self._client = client
        self._probes = probes
        self._images = list(images)
        self._limit = limit
        self._spent: dict[str, float] = {}  # seconds of the short steps, by URL

    async def run(self) -> None:
        """Measure everything; a candidate that cannot be used gets the reason, and no error."""
        probes = self._probes
        async with self._client:
            turns = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for probe in probes:
                    group.create_task(self._take_steps(probe, turns))
            names = [image.name for image in self._images]
            self.agreed = agree_on_digests(self.candidates, names)
            self.layer = await self._find_layer(probes)
            for probe in probes:
                if probe.candidate.failed is None:
                    await self._take_sample(probe)
                probe.candidate.is_done = True
            compare_samples(self.candidates)

    async def _take_steps(self, probe: Probe, turns: asyncio.Semaphore) -> None:
        async with turns:
            began = time.monotonic()
            with limited_by(probe.candidate, self._limit):
                async with asyncio.timeout(self._limit):
                    await probe.steps.run(self._images)
            self._spent[probe.candidate.url] = time.monotonic() - began
            probe.candidate.running = None
            probe.candidate.is_done = probe.candidate.failed is not None

    async def _find_layer(self, probes: Sequence[Probe]) -> Layer | None:
        """Return the layer to download, as one of the candidates with the agreed digest names it.

        The manifest is asked for by its digest, which proves it: only this one candidate is asked,
        because a registry counts it against its pull limit.
        """
        usable = [each for each in probes if each.candidate.failed is None]
        usable.sort(key=lambda each: not each.candidate.is_own)
        for image in self._images:
            for probe in usable:
                digest = probe.candidate.digests.get(image.name)
                if digest is None or self.agreed.get(image.name, digest) != digest:
                    continue
                by_digest = AskedImage(image.name, image.repository, digest)
                try:
                    async with asyncio.timeout(self._limit):
                        return await probe.steps.find_layer(by_digest)
                except (EntrepotError, TimeoutError) as error:
                    self._why_no_layer = str(error) or f"{image.name} was not sent in time"
        return None

    async def _take_sample(self, probe: Probe) -> None:
        candidate = probe.candidate
        if self.layer is None:
            candidate.fail(Step.DOWNLOAD, f"there is no layer to download: {self._why_no_layer}")
            return
        left = max(0.0, self._limit - self._spent.get(candidate.url, 0.0))
        differs = list_different(candidate, self.agreed)
        sample = CandidateSample(candidate, probe.endpoint, self.layer, time.monotonic, differs)
        with limited_by(candidate, self._limit):
            async with asyncio.timeout(left):
                await sample.run(left)
        candidate.running = None
