"""Laws of lists of tags: only so many are looked at as a page needs, and others are not kept."""

import asyncio

from registry.api.tags_and_referrers import STEP, find_visible

TAGS = [f"{number:06}" for number in range(10 * STEP)]


async def test_a_page_needs_a_part_of_the_tags() -> None:
    """From the tag `last` on, one more than the page has; of a large page, all of them."""
    looked_at: list[str | None] = []

    def is_even(repository: str, tag: str | None) -> bool:
        assert repository == "docker.io/library/a"
        looked_at.append(tag)
        return int(tag or 1) % 2 == 0

    async def find(count: int, last: str | None) -> list[str]:
        looked_at.clear()
        return await find_visible(TAGS, "docker.io/library/a", is_even, count, last)

    seen = await find(3, TAGS[STEP])
    assert seen[:4] == TAGS[STEP + 2 : STEP + 10 : 2]
    assert looked_at == TAGS[STEP + 1 : 2 * STEP + 1]
    assert await find(len(TAGS), None) == TAGS[::2]
    assert looked_at == TAGS
    assert await find(3, TAGS[-1]) == []


async def test_other_work_is_done_meanwhile() -> None:
    """A registry may list 250,000 tags: the event loop has a turn after each step."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await asyncio.sleep(0)
    await find_visible(TAGS, "docker.io/library/a", lambda _, __: False, 1, None)
    counting.cancel()

    assert turns >= len(TAGS) // STEP
