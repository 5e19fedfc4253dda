"""Laws of proofs in the background: they are few at once, and an outage ends those that wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.errors import BlobUnknown, UpstreamUnreachable
from registry.mirror import background_proofs as module
from registry.mirror.background_proofs import AT_ONCE, BackgroundProofs
from registry.mirror.cache_status import CacheStatus
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from tests.fakes.source import ORIGIN
from tests.unit.content.content_site import make_image
from tests.unit.mirror.trust_site import DIGEST, PUBLIC, TEAM, Site, make_manifest

MANY = make_image(*(bytes([number]) for number in range(40))).manifest


class Recorder:
    """Takes the place of `Deliveries`, and waits in each proof until it is released."""

    are_checked = True

    def __init__(self) -> None:
        self.asked: list[tuple[Repository, Digest]] = []
        self.running = self.most = 0
        self.released = asyncio.Event()
        self.failures: dict[str, Exception] = {}

    async def confirm(self, repository: Repository, digest: Digest) -> None:
        self.asked.append((repository, digest))
        self.running += 1
        self.most = max(self.most, self.running)
        await self.released.wait()
        self.running -= 1
        if repository.registry in self.failures:
            raise self.failures[repository.registry]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def proofs(recorder: Recorder) -> AsyncIterator[BackgroundProofs]:
    proofs = BackgroundProofs(recorder)  # type: ignore[arg-type]
    async with Tasks() as tasks:
        tasks.start(proofs.keep_proving())
        yield proofs


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_few_are_proved_at_once(recorder: Recorder, proofs: BackgroundProofs) -> None:
    """All blobs of a new manifest are proved, some at a time, and each once."""
    proofs.note(PUBLIC, MANY)
    await settle()
    assert recorder.running == AT_ONCE
    recorder.released.set()
    await settle()

    assert recorder.most == AT_ONCE
    assert sorted(recorder.asked) == sorted((PUBLIC, each.digest) for each in MANY.blobs)


async def test_only_so_many_wait(
    recorder: Recorder, proofs: BackgroundProofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs of further manifests are left to the pull that asks for them."""
    monkeypatch.setattr(module, "MOST", 10)
    for _ in range(3):
        proofs.note(PUBLIC, MANY)
    recorder.released.set()
    await settle()

    assert len(recorder.asked) == 10


async def test_an_outage_ends_those_that_wait(recorder: Recorder, proofs: BackgroundProofs) -> None:
    """If an upstream does not answer, only the other upstreams are asked further."""
    recorder.failures[PUBLIC.registry] = UpstreamUnreachable(ORIGIN, "no connection")
    proofs.note(PUBLIC, MANY)
    proofs.note(TEAM, make_manifest())
    await settle()
    recorder.released.set()
    await settle()

    assert len(recorder.asked) == AT_ONCE + 1
    assert recorder.asked[-1] == (TEAM, DIGEST)


async def test_a_refusal_ends_only_itself(recorder: Recorder, proofs: BackgroundProofs) -> None:
    """A blob that the upstream does not have is no reason not to ask for the others."""
    recorder.failures[PUBLIC.registry] = BlobUnknown(str(PUBLIC), str(DIGEST))
    proofs.note(PUBLIC, MANY)
    recorder.released.set()
    await settle()

    assert len(recorder.asked) == len(MANY.blobs)


async def test_nothing_is_proved_where_nothing_is_private(
    recorder: Recorder, proofs: BackgroundProofs
) -> None:
    """Without credentials, new manifests cost nothing."""
    recorder.are_checked = False
    proofs.note(PUBLIC, MANY)
    recorder.released.set()
    await settle()

    assert recorder.asked == []


async def test_what_was_proved_outlives_an_outage(tmp_path: Path) -> None:
    """A layer that a client had already is served when another client needs it in an outage."""
    async with AsyncExitStack() as stack:
        site = Site(open_folder(tmp_path), stack)
        process = await site.fill()
        proofs = BackgroundProofs(process.deliveries)
        working = asyncio.create_task(proofs.keep_proving())
        proofs.note(PUBLIC, make_manifest())
        for _ in range(2000):
            if await process.blobs.is_here(PUBLIC, DIGEST):
                break
            await asyncio.sleep(0.005)
        working.cancel()
        site.public.tap.is_down = True

        blob = await process.blobs.get(PUBLIC, DIGEST)
        blob.close()
        assert blob.origin is CacheStatus.HIT
