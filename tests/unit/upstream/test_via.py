"""Laws of `Via`: who has sent a request already."""

import asyncio

import pytest

from registry.errors import UpstreamLoop
from registry.upstream.via import MAX_MIRRORS, ViaWriter, make_name

OURS, OTHER = make_name(), make_name()


def test_own_name_is_written() -> None:
    """A request that follows from nobody's has one name."""
    assert ViaWriter(OURS).write() == f"1.1 {OURS}"


def test_own_name_is_refused() -> None:
    """Wherever it stands in the headers, and whatever other proxies have written."""
    via = ViaWriter(OURS)
    for headers in (
        [f"1.1 {OURS}"],
        ["1.0 fred, 1.1 p.example.net (a, b)", f"HTTP/1.1 {OTHER}, 1.1 {OURS} (x)"],
        [f"1.1 {OURS},1.1 squid"],
    ):
        with pytest.raises(UpstreamLoop):
            via.read(headers)


@pytest.mark.parametrize("headers", [[], ["1.1 proxy"], [f"1.1 {OTHER}"], [f"1.1 x{OURS}"]])
def test_other_names_are_no_circle(headers: list[str]) -> None:
    """A request of another mirror, or through a proxy, is answered."""
    ViaWriter(OURS).read(headers)


async def test_names_are_passed_on() -> None:
    """What follows from a request has its names; what follows from another one has not."""
    via = ViaWriter(OURS)

    async def answer(header: str) -> str:
        via.read([header])
        return await asyncio.create_task(ask())

    async def ask() -> str:
        return via.write()

    answered = await asyncio.gather(
        *(asyncio.create_task(answer(each)) for each in (f"1.1 {OTHER}", "1.1 squid\r\nX: y"))
    )
    assert answered == [f"1.1 {OTHER}, 1.1 {OURS}", f"1.1 {OURS}"]


def test_long_way_is_a_circle() -> None:
    """A request that passed through many mirrors goes through one that has a new name each time."""
    via = ViaWriter(OURS)
    via.read([", ".join(f"1.1 {make_name()}" for _ in range(MAX_MIRRORS))])
    with pytest.raises(UpstreamLoop):
        via.read([", ".join(f"1.1 {make_name()}" for _ in range(MAX_MIRRORS + 1))])
