"""The journeys run, and what they count is what they say."""

from pathlib import Path

import pytest

from tests.journeys.counts import FILES, count
from tests.journeys.journeys import pull_cold_blob, pull_tag, repeat_tag
from tests.journeys.questions import QUESTIONS

pytestmark = pytest.mark.programs

TABLE = QUESTIONS[1].title
READS = QUESTIONS[2].title
WRITES = QUESTIONS[3].title


def test_repeating_an_answer_enters_fewer_files(tmp_path: Path) -> None:
    """Other bytes for the same tag go through the API to the manifest; the same bytes do not."""
    found = []
    for name, journey in (("whole", pull_tag), ("repeated", repeat_tag)):
        running = journey(tmp_path / name)
        found.append(count(next(running)))
        running.close()
    whole, repeated = found

    assert whole[TABLE] == repeated[TABLE] == 0, "a request line is routed once"
    assert 0 < repeated[FILES] < whole[FILES]
    assert whole[WRITES] == 0


def test_a_hit_after_a_recorded_pull_asks_the_catalog_nothing(tmp_path: Path) -> None:
    """When a worker has recorded its pulls, the next hit still needs no query."""
    running = pull_tag(tmp_path, pause=1.5)
    counted = count(next(running))
    running.close()

    assert counted[FILES] > 0
    assert counted[READS] == 0


def test_a_cold_blob_is_followed_to_its_end(tmp_path: Path) -> None:
    """What happens after the client has its last byte is counted as well: the blob's row."""
    running = pull_cold_blob(tmp_path)
    calls = next(running)
    running.close()

    assert count(calls)[TABLE] == 1
    assert count(calls)[WRITES] > 0
    assert count(calls)[QUESTIONS[0].title] > 0
