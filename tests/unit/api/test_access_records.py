"""Laws of what is recorded of answers, beside their lines in the log."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from registry.access.record_collector import RecordCollector
from registry.access.record_files import CURRENT, RecordFiles
from registry.access.records import AccessRecord, AnswerFacts, RecordGroup, parse_record
from registry.access.shown_addresses import choose_form
from registry.api.access_log import AccessEntry, AccessLog
from registry.metrics.process_metrics import Metrics

TOKEN = "ent_abcdefgh_" + "s" * 32
REPOSITORY = "docker.io/team/app"


class Site:
    """An access log, and the records in a folder."""

    def __init__(self, folder: Path, addresses: str = "whole") -> None:
        self._path = folder / CURRENT
        files = RecordFiles(folder, 1e9, 1 << 30, clock=lambda: 1000.0)
        self._collector = RecordCollector(
            dict.fromkeys(RecordGroup, files), lambda _: None, lambda: 1000.0
        )
        self.log = AccessLog(Metrics(), choose_form(addresses), self._collector)

    def write(self, client: str | None = "10.2.0.7", **facts: Any) -> None:
        """Answer a request for a manifest, with other facts as they are given."""
        usual: dict[str, Any] = {"method": "GET", "path": "/v2/", "namespace": "", "agent": ""}
        usual |= {"kind": "manifests", "status": 200, "origin": "hit", "sent": 7, "failure": ""}
        usual |= {"repository": REPOSITORY} | facts
        self.log.write(AccessEntry(**usual), client, 0.1)

    async def read(self) -> list[AccessRecord]:
        """Return all records."""
        await self._collector.write(is_end=True)
        return [parse_record(line) for line in self._path.read_bytes().splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_an_answer_is_recorded_with_its_facts(site: Site) -> None:
    """Who, what, by which rule, and from where."""
    site.write(
        reference="1", user="alice", proof="token", rule="access.rules[2]", method="GET" + "X" * 50
    )

    facts = AnswerFacts(
        "alice",
        "token",
        "GET" + "X" * 17,
        "manifests",
        REPOSITORY,
        "1",
        200,
        is_refused=False,
        rule="access.rules[2]",
        origin="hit",
    )
    assert await site.read() == [AccessRecord(1000, "10.2.0.7", facts, 1, 7)]


async def test_answers_that_are_repeated_together_are_counted(site: Site) -> None:
    """Those of one turn of the event loop come together."""
    entry = AccessEntry("GET", "/", "", "", "manifests", 200, "hit", 7, "", REPOSITORY)
    log = site.log.prepare(entry)
    log.add("10.2.0.7", [0.0] * 500, 7)
    log.add("10.2.0.7", [0.1], 7)

    assert [(each.count, each.size) for each in await site.read()] == [(501, 501 * 7)]


async def test_what_is_about_no_repository_is_not_recorded(site: Site) -> None:
    """Such as the ping of a load balancer; but a login that is wrong is."""
    site.write(repository="", kind="base")
    site.write(repository="", kind="base", status=401, is_refused=True, proof="wrong")

    assert [each.facts.proof for each in await site.read()] == ["wrong"]


@pytest.mark.parametrize(
    ("addresses", "shown"), [("whole", "10.2.0.7"), ("networks", "10.2.0.0/24"), ("none", None)]
)
async def test_log_and_record_have_what_is_kept_of_an_address(
    tmp_path: Path, addresses: str, shown: str | None
) -> None:
    """The whole one is in none of both, unless it is wanted."""
    site = Site(tmp_path, addresses)
    with capture_logs() as lines:
        site.write("10.2.0.7")

    assert [each["client"] for each in lines] == [shown]
    assert [each.client for each in await site.read()] == [shown or ""]


async def test_a_token_in_a_wrong_place_is_masked(site: Site) -> None:
    """Then it is a part of a path, and of an error; also with a typing error."""
    with capture_logs() as lines:
        for token in (TOKEN, TOKEN.upper().replace("ENT", "ent"), TOKEN[:-5], f"{TOKEN}9"):
            site.write(
                path=f"/v2/t/{token}/x/manifests/1", failure=f"docker.io/t/{token} is unknown"
            )

    assert len(lines) == 4
    for line in lines:
        assert line["path"] == "/v2/t/ent_********/x/manifests/1"
        assert line["failure"] == "docker.io/t/ent_******** is unknown"


def test_without_records_nothing_is_recorded() -> None:
    """The log is written as before."""
    entry = AccessEntry("GET", "/", "", "", "manifests", 200, "hit", 7, "", REPOSITORY)
    with capture_logs() as lines:
        AccessLog(Metrics()).write(entry, "10.2.0.7", 0.1)

    assert [each["repository"] for each in lines] == [REPOSITORY]
