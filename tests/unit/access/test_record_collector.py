"""Laws of collecting: one line for what has the same facts in a second, and no pull waits."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry.access import record_collector
from registry.access.record_collector import MOST_FAILED_NAMES, RecordCollector
from registry.access.record_files import Appended, RecordFiles
from registry.access.records import AccessRecord, AnswerFacts, RecordGroup, parse_record

FACTS = AnswerFacts("alice", "token", "GET", "manifests", "docker.io/team/app", "1")
MISSING = replace(FACTS, status=404)


class Files(RecordFiles):
    """Keeps the records in memory; `why` is the answer of the disk, after `room` lines."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"), 0, 0)
        self.records: list[AccessRecord] = []
        self.why = ""
        self.room = 0

    def append(self, lines: Sequence[bytes]) -> Appended:
        count = self.room if self.why else len(lines)
        self.records += map(parse_record, lines[:count])
        return Appended(count, self.why)


class Site:
    """A collector at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.25
        self.files, self.failures, self.anonymous = Files(), Files(), Files()
        self.lost = 0
        files = {
            RecordGroup.ACCESS: self.files,
            RecordGroup.FAILURES: self.failures,
            RecordGroup.ANONYMOUS: self.anonymous,
        }
        self.collector = RecordCollector(files, self._lose, lambda: self.now)

    def _lose(self, count: int) -> None:
        self.lost += count

    def add(self, facts: AnswerFacts = FACTS, client: str | None = "10.2.0.7") -> None:
        self.collector.add(facts, client, 1, 100)

    async def write(self) -> list[AccessRecord]:
        """Write the records that are due, and return them."""
        self.files.records.clear()
        await self.collector.write()
        return list(self.files.records)


@pytest.fixture
def site() -> Site:
    return Site()


async def test_the_same_facts_of_a_second_are_one_record(site: Site) -> None:
    """Its count and its bytes are those of all of them."""
    for moment in (1000.0, 1000.5, 1000.99):
        site.now = moment
        site.add()
    site.collector.add(FACTS, "10.2.0.7", 20_000, 5)
    site.now = 1001.0

    assert await site.write() == [AccessRecord(1000, "10.2.0.7", FACTS, 20_003, 305)]
    assert await site.write() == []


async def test_no_answer_is_added_to_a_line_that_was_written(site: Site) -> None:
    """Also if the clock is set back to its second; several recorders have the same line."""
    first, second = site.collector.prepare(FACTS), site.collector.prepare(FACTS)
    for _ in range(2):
        first.add("10.2.0.7", 1, 100)
        second.add("10.2.0.7", 1, 100)
    first.add("10.2.0.8", 1, 100)
    site.now = 1001.0
    counts = [[each.count for each in await site.write()]]
    site.now = 1000.0
    first.add("10.2.0.8", 1, 100)
    second.add("10.2.0.7", 1, 100)
    site.now = 1001.0
    counts.append([each.count for each in await site.write()])

    assert counts == [[4, 1], [1, 1]]


@pytest.mark.parametrize(
    "facts",
    [
        AnswerFacts(proof="none", repository="docker.io/team/app", status=404, is_refused=True),
        AnswerFacts(proof="wrong", status=401, is_refused=True),
        AnswerFacts(repository="docker.io/library/nothing", status=404),
    ],
)
async def test_what_nobody_did_not_get_is_recorded_elsewhere(
    site: Site, facts: AnswerFacts
) -> None:
    """Anybody can make any number of these; they take no place from what was pulled."""
    named = replace(facts, user="alice")
    for each in (facts, named):
        site.add(each)
    site.now += 1

    assert [each.facts for each in await site.write()] == [named]
    assert [each.facts for each in site.failures.records] == [facts]


@pytest.mark.parametrize("status", [200, 499])
async def test_what_a_rule_gives_to_anybody_is_recorded_elsewhere(site: Site, status: int) -> None:
    """Without rules, everybody is as good as a user."""
    allowed = AnswerFacts(proof="none", repository="docker.io/team/app", status=status)
    unchecked = replace(allowed, proof="")
    named = replace(allowed, user="alice", proof="token")
    for each in (allowed, unchecked, named):
        site.add(each)
    site.now += 1

    assert [each.facts for each in await site.write()] == [unchecked, named]
    assert [each.facts for each in site.anonymous.records] == [allowed]


async def test_what_anybody_can_make_leaves_room_for_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk does not keep up, the records of users are not those that are lost."""
    monkeypatch.setattr(record_collector, "MOST_LINES", 8)
    for number in range(2):
        site.add(AnswerFacts(reference=str(number), status=404, is_refused=True))
    for number in range(20):
        site.add(AnswerFacts(proof="none", reference=str(number)))
    for number in range(4):
        site.add(replace(FACTS, reference=str(number)))
    site.now += 1

    assert len(await site.write()) == 4
    assert (len(site.failures.records), len(site.anonymous.records), site.lost) == (2, 2, 18)


async def test_whatever_differs_is_another_record(site: Site) -> None:
    """Each of the facts, the client, and the second."""
    others = [
        replace(FACTS, user="bob"),
        replace(FACTS, proof="password"),
        replace(FACTS, method="HEAD"),
        replace(FACTS, kind="blobs"),
        replace(FACTS, repository="docker.io/team/other"),
        replace(FACTS, reference="2"),
        replace(FACTS, status=304),
        replace(FACTS, is_refused=True),
        replace(FACTS, rule="access.rules[1]"),
        replace(FACTS, origin="stale"),
    ]
    for facts in (FACTS, *others):
        site.add(facts)
    site.add(client=None)
    site.now = 1001.0
    site.add()
    site.now = 1002.0

    records = await site.write()

    assert [each.facts for each in records] == [FACTS, *others, FACTS, FACTS]
    assert {(each.second, each.client) for each in records} == {
        (1000, "10.2.0.7"),
        (1000, ""),
        (1001, "10.2.0.7"),
    }
    assert {(each.count, each.size) for each in records} == {(1, 100)}


async def test_a_second_is_written_when_it_is_over(site: Site) -> None:
    """So that it is one record; also if the clock is set back meanwhile."""
    site.add()

    assert await site.write() == []
    site.now = 900.0
    assert [each.second for each in await site.write()] == [1000]


async def test_the_last_answers_are_written_at_the_end(site: Site) -> None:
    """Also those of the second that is not over."""
    writing = asyncio.create_task(site.collector.keep_writing())
    await asyncio.sleep(0)
    site.add()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert [each.count for each in site.files.records] == [1]


async def test_an_end_during_a_write_loses_nothing(site: Site) -> None:
    """What is being written is written to its end."""
    site.add()
    site.now += 1
    writing = asyncio.create_task(site.collector.write())
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert [each.count for each in site.files.records] == [1]


async def test_what_the_disk_refuses_is_lost_and_told_once(site: Site) -> None:
    """Each answer is counted; the log says once that it began, and once that it is over."""
    with capture_logs() as lines:
        site.files.why, site.files.room = "No space left on device", 1
        for second in range(1000, 1003):
            site.now = float(second)
            site.add()
            site.collector.add(MISSING, "10.2.0.7", 10, 0)
            site.now += 1
            await site.write()
        site.files.why = ""
        site.add()
        site.now += 1
        assert len(await site.write()) == 1

    assert site.lost == 30  # the first line of each second was written
    assert [(each["event"], each.get("why"), each.get("lost")) for each in lines] == [
        ("access records not written", "No space left on device", None),
        ("access records are written again", None, 30),
    ]


async def test_what_waits_for_a_disk_is_bounded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further lines are lost and counted; answers for which there is a line are not."""
    monkeypatch.setattr(record_collector, "MOST_LINES", 3)
    with capture_logs() as lines:
        for number in range(5):
            site.add(replace(FACTS, reference=str(number)))
        site.add(replace(FACTS, reference="0"))
    site.now += 1

    records = await site.write()

    counts = {each.facts.reference: each.count for each in records}
    assert counts == {"0": 2, "1": 1, "2": 1}
    assert site.lost == 2
    assert [each["event"] for each in lines] == ["access records not written"]


async def test_invented_names_do_not_fill_the_disk(site: Site) -> None:
    """After many names that have failed in a second, one record has the others, without names."""
    for number in range(MOST_FAILED_NAMES + 50):
        site.add(replace(MISSING, repository=f"docker.io/team/{number}"))
    site.add()
    site.now += 1
    site.add(MISSING)

    records = await site.write()

    nameless = replace(MISSING, repository="", reference="")
    assert len(records) == MOST_FAILED_NAMES + 2
    assert [each.count for each in records if each.facts == nameless] == [50]
    assert FACTS in [each.facts for each in records]
    site.now += 1
    assert [each.facts for each in await site.write()] == [MISSING]
