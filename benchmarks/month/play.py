"""Playing a month: clients pull images through one mirror, or through one endpoint alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.month.client import Reading
from benchmarks.month.contents import ImageContents
from benchmarks.month.mirror import REPOSITORY, SimulatedMirror, open_loop, open_mirror
from benchmarks.month.network import HOUR, SimulatedNetwork
from benchmarks.month.script import Month
from registry.errors import EntrepotError
from registry.oci.digest import Digest

AT_ONCE = 3  # layers that a client pulls at once, as Docker and containerd do
TRIES = 5  # of a client for each layer, as Docker does
WAIT = 5.0  # seconds of a client between two tries


@dataclass(frozen=True)
class Policy:
    """Which endpoints are asked, in their order, and whether they are ranked by measurements."""

    endpoints: tuple[str, ...]
    is_measured: bool = False


@dataclass
class Pull:
    """One pull: when it began (hours), its size, and the seconds that it took.

    `seconds` is None if it failed. `repeats` is how often a layer had to be asked for again, and
    `wrong` how many wrong layers the client held as whole.
    """

    at: float
    size: int
    seconds: float | None = None
    repeats: int = 0
    wrong: int = 0


@dataclass
class Played:
    """What came of one policy: its pulls in order, and what each endpoint has sent on each day."""

    pulls: list[Pull]
    sent: dict[str, list[int]]


def play(month: Month, images: ImageContents, policy: Policy) -> Played:
    """Play a month with one policy, and return what came of it."""
    with asyncio.Runner(loop_factory=open_loop) as runner:
        return runner.run(_Play(month, images, policy).run())


class _Play:
    def __init__(self, month: Month, images: ImageContents, policy: Policy) -> None:
        self._month = month
        self._images = images
        self._policy = policy
        self._network = SimulatedNetwork(month, images.contents)

    async def run(self) -> Played:
        policy, images = self._policy, self._images
        clock = asyncio.get_running_loop().time
        pulls = []
        async with (
            open_mirror(
                self._network, policy.endpoints, images.sizes, is_measured=policy.is_measured
            ) as mirror,
            asyncio.TaskGroup() as clients,
        ):
            for hour, image in self._month.pulls:
                await asyncio.sleep(max(0.0, hour * HOUR - clock()))
                pull = Pull(hour, self._month.images[image].size)
                pulls.append(pull)
                clients.create_task(self._pull(mirror, pull, image))
        return Played(pulls, self._network.sent)

    async def _pull(self, mirror: SimulatedMirror, pull: Pull, image: int) -> None:
        """Pull one image as a client; what former pulls have stored is deleted before."""
        manifest, blobs = self._images.images[image]
        for digest in blobs:
            await mirror.store.delete(digest)
        clock = asyncio.get_running_loop().time
        began, places = clock(), asyncio.Semaphore(AT_ONCE)
        is_named = await self._repeat(lambda: self._ask(mirror, manifest), pull)

        async def get(digest: Digest) -> bool:
            async with places:
                return await self._repeat(lambda: self._read(mirror, digest, pull), pull)

        if is_named and all(await asyncio.gather(*map(get, blobs))):
            pull.seconds = clock() - began

    async def _repeat(self, work: Callable[[], Awaitable[bool]], pull: Pull) -> bool:
        """Try until it succeeds; return whether it did."""
        for _ in range(TRIES):
            if await work():
                return True
            pull.repeats += 1
            await asyncio.sleep(WAIT)
        return False

    async def _ask(self, mirror: SimulatedMirror, manifest: Digest) -> bool:
        try:
            await mirror.source.get_manifest(REPOSITORY.name, manifest)
        except EntrepotError:
            return False
        return True

    async def _read(self, mirror: SimulatedMirror, digest: Digest, pull: Pull) -> bool:
        """Read a blob as a client; return whether all of it came."""
        reading = Reading(self._images.contents[str(digest)])
        await reading.read(mirror.blobs, REPOSITORY, digest)
        pull.wrong += reading.is_wrong
        return reading.is_whole
