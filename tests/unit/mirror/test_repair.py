"""Laws of finding wrong bytes among those that several endpoints have sent."""

import random
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import structlog

from registry.content.ingest import Ingest
from registry.errors import StoreError, UpstreamUnreachable
from registry.metrics.process_metrics import Metrics
from registry.mirror.announcement import Announcement
from registry.mirror.download_counts import DownloadCounts
from registry.mirror.download_request import DownloadRequest
from registry.mirror.judge import Judge
from registry.mirror.repair import LEAST_UNIT
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.store.ingests import IngestInfo
from registry.store.rejected import RejectedBytes
from registry.tasks import Tasks
from registry.upstream import sender_trace
from registry.wiring.content import open_handles
from tests.fakes.endpoints import SimulatedDownload, SimulatedEndpoint
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.download_site import REPOSITORY

RANGE = 2 * LEAST_UNIT  # bytes that one endpoint sends at a time
CONTENT = random.Random(1).randbytes(24 * RANGE - 1000)
DIGEST = Digest.of(CONTENT)
NAMES = ("first", "second", "third")


class Site:
    """A download that is complete; endpoints have sent its ranges in turn."""

    def __init__(self, ingest: Ingest, names: Sequence[str]) -> None:
        self.ingest = ingest
        self.endpoints = [SimulatedEndpoint(name) for name in names]
        self.download = SimulatedDownload(CONTENT, self.endpoints)
        source = MemorySource(Tap())
        request = DownloadRequest(REPOSITORY, DIGEST, len(CONTENT), source, 1)
        self.told = Announcement(ingest, request, self.download, lambda: 0.0, 0)
        self.rejections = 0
        self.received = self.wrong = 0

    async def receive(self, *wrong: int, flipped: Sequence[int] = ()) -> None:
        """Receive all ranges; those at the places in `wrong` are wrong, and these single bytes."""
        data = bytearray(CONTENT)
        for at in flipped:
            data[at] ^= 1
        for place, start in enumerate(range(0, len(CONTENT), RANGE)):
            piece = bytes(data[start : start + RANGE])
            piece = piece.swapcase() if place in wrong else piece
            self.told.trace.note(self.endpoints[place % len(self.endpoints)].name, len(piece))
            await self.ingest.append([piece])

    async def judge(self) -> bool:
        """Return whether the blob is right now; otherwise it would be downloaded again."""

        def reject() -> None:
            self.rejections += 1

        metrics = Metrics()
        counts = DownloadCounts(metrics, "docker.io")
        with Judge(self.ingest, on_reject=reject, counts=counts) as judge:
            try:
                return await judge.is_right(self.download, self.told)
            finally:
                self.received += read(metrics, "downloaded")
                self.wrong += read(metrics, "wrong")


def read(metrics: Metrics, what: str) -> int:
    labels = {"upstream": "docker.io"}
    found = metrics.registry.get_sample_value(f"entrepot_{what}_bytes_total", labels)
    assert found is not None
    return int(found)


@pytest.fixture
async def open_ingest(tmp_path: Path) -> AsyncIterator[Ingest]:
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(Tasks())
        handles = open_handles(open_folder(tmp_path))
        parts = ProcessParts(handles, space=AmpleSpace(), tasks=tasks)
        ingest = parts.content.content.try_ingest(DIGEST)
        assert ingest is not None
        yield await stack.enter_async_context(ingest)


async def test_right_bytes_cost_nothing(open_ingest: Ingest) -> None:
    """If the digest is right, nobody is asked for anything."""
    site = Site(open_ingest, NAMES)
    await site.receive()
    await site.judge()
    assert (site.received, site.wrong, site.rejections) == (0, 0, 0)


async def test_the_disk_holds_up_nobody_else(
    open_ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread writes who is suspected, as everything else that a slow disk could hold up."""
    site, threads, write = Site(open_ingest, NAMES), [], open_ingest.write_info
    await site.receive(1)

    def note_thread(info: IngestInfo) -> None:
        threads.append(threading.get_ident())
        write(info)

    monkeypatch.setattr(open_ingest, "write_info", note_thread)
    await site.judge()

    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("liar", [0, 1, 2])
async def test_the_liar_is_found(open_ingest: Ingest, liar: int) -> None:
    """It is named, its ranges are fetched from others, and little more than these ranges."""
    site = Site(open_ingest, NAMES)
    await site.receive(liar, liar + 6)
    site.endpoints[liar].is_lying = True  # what others are asked for is wrong too

    await site.judge()

    assert site.ingest.is_complete
    assert site.download.liars == [NAMES[liar]]
    assert site.rejections == 1
    assert site.received <= 2 * RANGE + len(CONTENT) // 10
    assert site.wrong == len(CONTENT)


async def test_of_two_the_digest_says_who_lied(open_ingest: Ingest) -> None:
    """With two endpoints nobody else can be asked; the digest decides."""
    site = Site(open_ingest, NAMES[:2])
    await site.receive(1, 5)

    await site.judge()

    assert site.ingest.is_complete
    assert site.download.liars == ["second"]


async def test_a_single_wrong_byte_is_found(open_ingest: Ingest) -> None:
    """Samples do not show it, so whole ranges are compared, of one endpoint after the other."""
    site = Site(open_ingest, NAMES)
    await site.receive(flipped=[RANGE + 40_000])

    await site.judge()

    assert site.ingest.is_complete
    assert site.download.liars == ["second"]
    assert site.received < 1.05 * len(CONTENT)


async def test_an_endpoint_that_fails_is_not_needed(open_ingest: Ingest) -> None:
    """Another one is compared with, if there is one."""
    site = Site(open_ingest, NAMES)
    await site.receive(0)
    site.endpoints[1].fault = lambda _: UpstreamUnreachable("second", "cut")

    await site.judge()

    assert site.ingest.is_complete
    assert site.download.liars == ["first"]


async def test_of_one_endpoint_nothing_can_be_compared(open_ingest: Ingest) -> None:
    """Then it is the liar, and the next download asks it last."""
    site = Site(open_ingest, NAMES[:1])
    await site.receive(3)

    assert not await site.judge()

    assert not site.ingest.is_complete
    assert site.download.liars == ["first"]
    info = site.ingest.read_info()
    assert info is not None
    assert list(info.suspects) == ["first"]


@pytest.mark.parametrize("are_lying_on", [False, True])
async def test_two_liars_are_both_found(open_ingest: Ingest, are_lying_on: bool) -> None:
    """Each is named with its own ranges, also if it lies again when it is asked about others."""
    site = Site(open_ingest, NAMES)
    await site.receive(0, 4)
    if are_lying_on:
        site.endpoints[0].lies = [Span(0, RANGE), Span(16 * RANGE, 17 * RANGE)]
        site.endpoints[1].lies = [Span(4 * RANGE, 5 * RANGE), Span(12 * RANGE, 14 * RANGE)]

    with structlog.testing.capture_logs() as events:
        await site.judge()

    assert site.ingest.is_complete
    assert sorted(site.download.liars) == ["first", "second"]
    lines = [each for each in events if each["event"] == "wrong bytes replaced"]
    wrong = {each["endpoint"]: each["ranges"] for each in lines}
    assert wrong["second"][0].startswith(f"{4 * RANGE}-")
    assert wrong["first"][0].startswith("0-")
    assert site.received <= 2 * RANGE + len(CONTENT) // 10


async def test_a_liar_that_is_asked_about_others_does_not_hide_them(open_ingest: Ingest) -> None:
    """Of two that lie in different ranges, both are asked: what differs may be right."""
    site = Site(open_ingest, NAMES[:2])
    await site.receive(0, 5)
    site.endpoints[0].lies = [Span(0, RANGE), Span(7 * RANGE, 8 * RANGE)]
    site.endpoints[1].lies = [Span(5 * RANGE, 6 * RANGE), Span(2 * RANGE, 3 * RANGE)]

    await site.judge()

    assert site.ingest.is_complete
    assert sorted(site.download.liars) == ["first", "second"]
    assert site.received <= 6 * RANGE


async def test_of_ranges_that_were_joined_nobody_is_accused(
    open_ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has sent the wrong bytes of a joined range is not known; the blob is right anyway."""
    monkeypatch.setattr(sender_trace, "MOST", 4)
    site = Site(open_ingest, NAMES)
    await site.receive(1)

    await site.judge()

    assert site.ingest.is_complete
    assert site.download.liars == []


async def test_the_same_bytes_wrong_everywhere_are_not_found(open_ingest: Ingest) -> None:
    """Then all are suspected, and the next download begins again; it costs one blob at most."""
    site = Site(open_ingest, NAMES)
    await site.receive(0)
    for endpoint in site.endpoints:
        endpoint.lies = [Span(0, RANGE)]

    assert not await site.judge()

    assert not site.ingest.is_complete
    assert site.download.liars == []
    assert site.received <= 1.1 * len(CONTENT)


async def test_a_disk_that_refuses_is_said(
    open_ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the disk is raised as it is, and readers get the rest from the upstream."""
    site = Site(open_ingest, NAMES)
    await site.receive(0)

    def refuse(*_: object) -> bool:
        raise StoreError("others", "No space left on device")

    monkeypatch.setattr(RejectedBytes, "put_beside", refuse)
    with pytest.raises(StoreError, match="No space"):
        await site.judge()
