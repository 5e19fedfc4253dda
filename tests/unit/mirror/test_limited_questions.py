"""Laws of one address that asks for what does not exist: which requests are limited, which not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.errors import TooManyUnknown, Unknown
from registry.metrics.process_metrics import Metrics
from registry.mirror.cache_status import CacheStatus
from registry.mirror.question_limit import BURST, QuestionLimit
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.manifest_site import FIRST

HERE, TAG = Repository("docker.io", "library/a"), Tag("1")
CLIENT, OTHER = "192.0.2.1", "192.0.2.2"
TOKENS = int(BURST)  # of one question a second
BLOB = b"blob"

Ask = Callable[[ProcessParts, int], Awaitable[object]]


def name(number: int) -> Repository:
    return Repository(HERE.registry, f"random/n{number}")


def digest(number: int) -> Digest:
    return Digest.of(str(number).encode())


MISSES: dict[str, Ask] = {
    "names": lambda site, number: site.manifests.get(name(number), TAG, CLIENT),
    "tags": lambda site, number: site.manifests.get(HERE, Tag(f"t{number}"), CLIENT),
    "digests": lambda site, number: site.manifests.get(HERE, digest(number), CLIENT),
    "blobs": lambda site, number: site.blobs.get(HERE, digest(number), CLIENT),
    "sizes of blobs": lambda site, number: site.blobs.stat(HERE, digest(number), CLIENT),
    "lists of tags": lambda site, number: site.lists.list_tags(name(number), CLIENT),
    "referrers of digests": lambda site, number: site.lists.list_referrers(
        HERE, digest(number), CLIENT
    ),
    "referrers in names": lambda site, number: site.lists.list_referrers(
        name(number), digest(0), CLIENT
    ),
}


@pytest.fixture
def source() -> MemorySource:
    return MemorySource(
        Tap(),
        manifests={(HERE.name, reference): FIRST for reference in ("1", "2", str(FIRST.digest))},
        blobs={(HERE.name, str(Digest.of(BLOB))): BLOB},
        tags={HERE.name: ["1"]},
        referrers={},
    )


@pytest.fixture
async def site(tmp_path: Path, source: MemorySource) -> AsyncIterator[ProcessParts]:
    handles = open_handles(open_folder(tmp_path))
    # The clock stands still, so that a test that takes long gets no further token.
    questions = QuestionLimit(1.0, Metrics(), lambda: 0.0, patience=0.02)
    async with Database(handles.folder.catalog) as database, Tasks() as tasks:
        yield ProcessParts(
            handles,
            database,
            space=AmpleSpace(),
            tasks=tasks,
            sources={HERE.registry: source},
            missing_for=10.0,
            questions=questions,
        )


async def miss(site: ProcessParts, ask: Ask, number: int) -> None:
    with suppress(Unknown):
        await ask(site, number)


@pytest.mark.parametrize("kind", MISSES)
async def test_what_does_not_exist_is_limited(
    site: ProcessParts, source: MemorySource, kind: str
) -> None:
    """Whatever is asked for; what exists is still served to everybody who asked for it before."""
    if kind == "referrers in names":
        source.referrers = None
    await site.manifests.get(HERE, TAG, CLIENT)
    for number in range(TOKENS):
        await miss(site, MISSES[kind], number)

    with pytest.raises(TooManyUnknown):
        await MISSES[kind](site, TOKENS)
    served = await site.manifests.get(HERE, TAG, CLIENT)
    assert served.origin is CacheStatus.HIT
    assert (await site.manifests.get(HERE, Tag("2"), OTHER)).manifest == FIRST


@pytest.mark.parametrize("kind", MISSES)
async def test_a_miss_that_is_remembered_is_free(site: ProcessParts, kind: str) -> None:
    """It asks no upstream."""
    for _ in range(TOKENS + 1):
        await miss(site, MISSES[kind], 0)


async def test_what_is_known_is_confirmed_without_a_token(
    site: ProcessParts, source: MemorySource
) -> None:
    """The upstream is asked about a stored tag and list again, whatever the client did before."""
    await site.manifests.get(HERE, TAG, CLIENT)
    await site.lists.list_tags(HERE, CLIENT)
    for number in range(TOKENS):
        await miss(site, MISSES["names"], number)
    site.now += 10_000

    assert (await site.manifests.get(HERE, TAG, CLIENT)).origin is CacheStatus.REVALIDATED
    assert (await site.lists.list_tags(HERE, CLIENT)).origin is CacheStatus.MISS


@pytest.mark.parametrize(
    "ask",
    [
        lambda site, client: site.manifests.get(HERE, TAG, client),
        lambda site, client: site.blobs.stat(HERE, Digest.of(BLOB), client),
        lambda site, client: site.lists.list_tags(HERE, client),
    ],
    ids=["manifest", "blob", "tags"],
)
async def test_who_joins_a_question_needs_no_token(
    site: ProcessParts, ask: Callable[[ProcessParts, str], Awaitable[object]]
) -> None:
    """The question is asked anyway; and who has begun it never waits for a client without token."""
    for number in range(TOKENS):
        await miss(site, MISSES["names"], number)
    beginning = asyncio.ensure_future(ask(site, OTHER))
    await asyncio.sleep(0)

    await asyncio.gather(beginning, ask(site, CLIENT))


@pytest.mark.parametrize("reference", [TAG, FIRST.digest])
async def test_what_exists_costs_nothing(site: ProcessParts, reference: Reference) -> None:
    """However much of it a client pulls for the first time."""
    for _ in range(2 * TOKENS):
        await site.manifests.get(HERE, reference, CLIENT)
        await site.blobs.stat(HERE, Digest.of(BLOB), CLIENT)
        site.now += 10_000
