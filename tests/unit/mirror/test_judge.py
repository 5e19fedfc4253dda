"""Laws of blobs that are downloaded again, since nobody knows which of their bytes are wrong."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from registry.content.ingest import Ingest
from registry.errors import BlobUnknown, DigestMismatch
from registry.metrics.process_metrics import Metrics
from registry.mirror import repair
from registry.mirror.announcement import Announcement
from registry.mirror.download_counts import DownloadCounts
from registry.mirror.download_request import DownloadRequest
from registry.mirror.judge import Judge
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.wiring.content import open_handles
from tests.fakes.endpoints import SimulatedDownload, SimulatedEndpoint
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.download_site import REPOSITORY

CONTENT = bytes(range(251)) * 100
DIGEST = Digest.of(CONTENT)
NAMES = ("first", "second", "third")


@pytest.fixture
async def ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ingest]:
    """An ingest of a blob; comparing finds nothing, as there is no time for it."""
    monkeypatch.setattr(repair, "WITHIN", 0.0)
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(Tasks())
        handles = open_handles(open_folder(tmp_path))
        parts = ProcessParts(handles, space=AmpleSpace(), tasks=tasks)
        opened = parts.content.content.try_ingest(DIGEST)
        assert opened is not None
        yield await stack.enter_async_context(opened)


class Trial:
    """Downloads of the blob, one after the other, in which some endpoints lie."""

    def __init__(self, ingest: Ingest, judge: Judge) -> None:
        self.download = SimulatedDownload(CONTENT, [SimulatedEndpoint(name) for name in NAMES])
        self._ingest = ingest
        self._judge = judge

    async def receive(self, senders: Sequence[str], *liars: str, flipped: int = 0) -> bool:
        """Receive an equal part from each sender, and return whether the blob is right."""
        request = DownloadRequest(REPOSITORY, DIGEST, len(CONTENT), MemorySource(Tap()), 1)
        told = Announcement(self._ingest, request, self.download, lambda: 0.0, 0)
        self._judge.admit(self.download)
        length = -(-len(CONTENT) // len(senders))
        for number, name in enumerate(senders):
            piece = bytearray(CONTENT[number * length : (number + 1) * length])
            piece[flipped] ^= name in liars
            told.trace.note(name, len(piece))
            await self._ingest.append([bytes(piece)])
        return await self._judge.is_right(self.download, told)


@contextmanager
def open_trial(ingest: Ingest) -> Iterator[Trial]:
    with Judge(
        ingest, on_reject=lambda: None, counts=DownloadCounts(Metrics(), "docker.io")
    ) as judge:
        yield Trial(ingest, judge)


@pytest.mark.parametrize("flipped", [0, -1])
async def test_the_right_bytes_say_who_has_lied_before(ingest: Ingest, flipped: int) -> None:
    """All that have are named, and the others are no suspects any more."""
    with open_trial(ingest) as trial:
        assert not await trial.receive(NAMES, "first", "third", flipped=flipped)
        assert trial.download.liars == []

        assert await trial.receive(["second"])

    assert sorted(trial.download.liars) == ["first", "third"]
    assert trial.download.acquitted == ["second"]


async def test_who_lies_alone_is_named_and_not_asked_again(ingest: Ingest) -> None:
    with open_trial(ingest) as trial:
        assert not await trial.receive(NAMES, "first")
        assert not await trial.receive(["first"], "first")
        assert trial.download.liars == ["first"]

        assert await trial.receive(["second"])

    assert trial.download.excluded == ("first",)
    assert trial.download.liars == ["first"]
    assert trial.download.acquitted == ["second", "third"]


async def test_it_ends_if_all_lie(ingest: Ingest) -> None:
    """The error says who has sent what, and what the operator can do; clients do not read who."""
    with open_trial(ingest) as trial:
        for name in NAMES:
            assert not await trial.receive([name], name)
        with pytest.raises(DigestMismatch) as caught:
            await trial.receive(["first"])

    assert all(f"{len(CONTENT)} bytes from {name}" in str(caught.value) for name in NAMES)
    assert "entrepot upstreams test" in str(caught.value)
    assert caught.value.public.endswith(f"{len(CONTENT)} bytes were received, and are wrong")


async def test_it_ends_if_nobody_sends_the_blob_alone(ingest: Ingest) -> None:
    """Or the digest would never say who lies, and the blob would come again for ever."""
    with open_trial(ingest) as trial:
        assert not await trial.receive(NAMES, "first")
        with pytest.raises(DigestMismatch, match="no endpoint has sent all of it"):
            await trial.receive(NAMES, "first")


async def test_a_blob_that_nobody_else_has_is_wrong_and_not_missing(ingest: Ingest) -> None:
    with Judge(
        ingest, on_reject=lambda: None, counts=DownloadCounts(Metrics(), "docker.io")
    ) as judge:
        await Trial(ingest, judge).receive(["first"], "first")
        failure = judge.fail(BlobUnknown("r", str(DIGEST)))

    assert judge.has_rejected
    assert isinstance(failure, DigestMismatch)
    assert str(BlobUnknown("r", str(DIGEST))) in str(failure)
