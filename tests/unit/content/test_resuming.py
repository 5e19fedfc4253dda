"""Many downloads that are resumed at once leave threads for others."""

import asyncio
import threading
from pathlib import Path

import pytest

from registry.content import ingest as ingest_module
from registry.content.destination import MOST_RESUMING
from registry.content.ingest import Ingest
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.store.ingests import name_beside
from registry.store.partial import PartialWriter
from registry.wiring.content import open_handles
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts

CONTENT = bytes(range(256)) * 40
DIGEST = Digest.of(CONTENT)
STEP = 1000
COUNT = 6


async def test_few_are_resumed_at_once_and_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call in a thread is short, and only few run at the same time."""
    monkeypatch.setattr(ingest_module, "RESUME_STEP", STEP)
    content = ProcessParts(open_handles(open_folder(tmp_path)), space=AmpleSpace()).content.content
    parts = [name_beside(DIGEST, str(number)) for number in range(COUNT)]

    def take(part: Digest) -> Ingest:
        ingest = content.try_ingest(DIGEST, part)
        assert ingest is not None
        return ingest

    for part in parts:
        async with take(part) as ingest:
            await ingest.append([CONTENT[:-1]], len(CONTENT))
    running: set[int] = set()
    most, steps, resume = 0, [], PartialWriter.resume

    def watch(writer: PartialWriter, *arguments: float) -> int:
        nonlocal most
        running.add(threading.get_ident())
        most = max(most, len(running))
        count = resume(writer, *arguments)
        steps.append(count)
        running.discard(threading.get_ident())
        return count

    monkeypatch.setattr(PartialWriter, "resume", watch)
    offsets = await asyncio.gather(*(resume_and_end(take(part)) for part in parts))

    assert offsets == [len(CONTENT) - 2] * COUNT
    assert max(steps) <= STEP
    assert most <= MOST_RESUMING


async def resume_and_end(ingest: Ingest) -> int:
    async with ingest:
        return await ingest.resume(len(CONTENT))
