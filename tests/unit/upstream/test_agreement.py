"""Laws of asking all endpoints what a tag means: when it ends, and with which answer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from registry.errors import (
    ManifestUnknown,
    TagDisputed,
    TagUnconfirmed,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamUnreachable,
)
from registry.oci.digest import Digest
from registry.upstream import agreement
from registry.upstream.agreement import OTHERS_WAIT, find_agreement
from registry.upstream.contract import TagAnswer
from tests.property.virtual_loop import VirtualLoop

OLD, NEW = Digest.of(b"old"), Digest.of(b"new")
ABSENT = ManifestUnknown("docker.io/library/a", "1")
DOWN = UpstreamUnreachable("https://x.example", "down")
DENIED = UpstreamDenied("https://x.example", "401")
Said = Digest | Unknown | UpstreamError | None  # None: no answer until the end


@dataclass(frozen=True)
class Voice:
    """An endpoint of which only the address matters."""

    origin: str


HUB, NEAR, FAR = (Voice(f"https://{name}.example") for name in ("hub", "near", "far"))


def answer(said: dict[Voice, Said]) -> Callable[[Any], Awaitable[TagAnswer]]:
    async def ask(voice: Voice) -> TagAnswer:
        found = said[voice]
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        assert found is not None
        return TagAnswer(found, voice.origin, voice is HUB)

    return ask


async def agree(said: dict[Voice, Said], *, trusts_hub: bool = True) -> TagAnswer:
    endpoints: Any = tuple(said)
    trusted: Any = {HUB} if trusts_hub else set()
    async with asyncio.timeout(5):
        return await find_agreement("docker.io", endpoints, trusted, answer(said))


@pytest.mark.parametrize(
    ("said", "digest", "others"),
    [
        ({NEAR: NEW, FAR: NEW, HUB: None}, NEW, {}),
        ({NEAR: OLD, FAR: NEW, HUB: NEW}, NEW, {NEAR.origin: OLD}),
        ({NEAR: OLD, HUB: NEW}, NEW, {NEAR.origin: OLD}),
        ({NEAR: DOWN, HUB: NEW}, NEW, {}),
        ({NEAR: ABSENT, HUB: NEW}, NEW, {}),
        ({NEAR: NEW, FAR: DOWN, HUB: NEW}, NEW, {}),
    ],
)
async def test_what_counts(
    said: dict[Voice, Said], digest: Digest, others: dict[str, Digest]
) -> None:
    """Two that agree are enough at once; else the trusted one decides, also if it is alone."""
    found = await agree(said)

    assert (found.digest, found.others) == (digest, others)
    assert found.is_trusted is (said[HUB] == digest)


async def test_others_have_a_moment_after_the_trusted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that does not answer holds up no tag for which the trusted one has answered."""
    monkeypatch.setattr(agreement, "OTHERS_WAIT", 0.01)
    found = await agree({NEAR: None, FAR: OLD, HUB: NEW})

    assert (found.digest, found.others) == (NEW, {FAR.origin: OLD})


def test_the_moment_is_for_all_of_them_together() -> None:
    """Answers that bring no agreement do not make it longer."""
    delays = {HUB: 0.0, NEAR: 0.6 * OTHERS_WAIT, FAR: 1.2 * OTHERS_WAIT}

    async def ask(voice: Any) -> TagAnswer:
        await asyncio.sleep(delays[voice])
        if voice is not HUB:
            raise DOWN
        return TagAnswer(NEW, voice.origin, is_trusted=True)

    async def measure() -> float:
        clock = asyncio.get_running_loop().time
        endpoints: Any = (HUB, NEAR, FAR)
        trusted: Any = {HUB}
        began = clock()
        await find_agreement("docker.io", endpoints, trusted, ask)
        return clock() - began

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(measure()) == pytest.approx(OTHERS_WAIT)


@pytest.mark.parametrize(
    ("said", "trusts_hub", "error"),
    [
        ({NEAR: OLD, FAR: NEW}, True, TagDisputed),
        ({NEAR: OLD, HUB: NEW}, False, TagDisputed),
        ({NEAR: OLD, FAR: NEW, HUB: DOWN}, True, TagDisputed),
        ({NEAR: NEW, HUB: DOWN}, True, TagUnconfirmed),
        ({NEAR: NEW, HUB: ABSENT}, False, TagUnconfirmed),
        ({NEAR: NEW, HUB: DENIED}, True, TagUnconfirmed),
        ({NEAR: NEW, HUB: ABSENT}, True, ManifestUnknown),
        ({NEAR: ABSENT, FAR: ABSENT, HUB: ABSENT}, True, ManifestUnknown),
        ({NEAR: ABSENT, HUB: DOWN}, True, UpstreamUnreachable),
        ({NEAR: DOWN, HUB: DENIED}, True, UpstreamUnreachable),
    ],
)
async def test_nothing_counts(
    said: dict[Voice, Said], trusts_hub: bool, error: type[Exception]
) -> None:
    """Without two that agree, and without a trusted answer, there is an error that says why."""
    with pytest.raises(error):
        await agree(said, trusts_hub=trusts_hub)
