"""Laws of the simulated month, and of the mirror in it: reduced to two days."""

import math
from xml.etree import ElementTree as ET

import pytest

from benchmarks.month.contents import ImageContents
from benchmarks.month.picture import draw_month
from benchmarks.month.play import Played, Policy, Pull, play
from benchmarks.month.results import (
    KNOWING,
    MEASURED,
    WRITTEN,
    list_single,
    print_table,
    summarize,
    summarize_all,
)
from benchmarks.month.script import MIB, EndpointScript, Fault, Period, write_month


def make_played(*seconds: float | None) -> Played:
    """Return pulls of 1 MiB, one an hour; 3 MiB were sent."""
    pulls = [Pull(float(hour), MIB, each) for hour, each in enumerate(seconds)]
    return Played(pulls, {"a": [MIB, 2 * MIB]})


def test_a_month_is_the_same_for_the_same_seed() -> None:
    assert write_month(5, 3) == write_month(5, 3)
    assert write_month(5, 3) != write_month(6, 3)


def test_the_registry_is_written_last_and_what_is_not_there_yet_before_it() -> None:
    names = [endpoint.name for endpoint in write_month(1).endpoints]

    assert names[-1] == "registry"
    assert names.index("lying") > names.index("old")


def test_a_fault_lasts_from_its_start_to_its_stop() -> None:
    periods = [Period(5, 6, Fault.LYING), Period(1, 2, Fault.SILENT)]
    endpoint = EndpointScript("a", "", MIB, slowed=4, left=0.5, periods=periods)

    found = [endpoint.find_fault(hour) for hour in (0.9, 1, 1.9, 2, 5.5)]
    assert found == [None, Fault.SILENT, Fault.SILENT, None, Fault.LYING]
    assert [endpoint.find_rate(hour) for hour in (3.9, 4)] == [MIB, MIB / 2]


def test_a_pull_that_is_not_served_takes_for_ever() -> None:
    summary = summarize(make_played(1.0, 2.0, None))

    assert (summary.served, summary.failed, summary.median) == (2, 1, 2.0)
    assert math.isinf(summary.most)
    assert summary.excess == 1.5


def test_the_best_single_endpoint_is_known_afterwards() -> None:
    results = {
        MEASURED: make_played(1.0, 1.0),
        WRITTEN: make_played(2.0, 2.0),
        "a": make_played(9.0, 3.0),
        "b": make_played(4.0, 4.0),
    }

    assert list(list_single(results)) == ["b", "a"]
    assert summarize_all(results)[KNOWING].median == 3.5
    assert "`b` alone | 2 | 0" in print_table(summarize_all(results))


def test_the_picture_has_every_endpoint_and_the_best_one() -> None:
    month = write_month(1, 2)
    names = [endpoint.name for endpoint in month.endpoints]
    sent = {name: [MIB, MIB, 0] for name in names}
    results = {
        name: Played([Pull(1.0, MIB, 2.0), Pull(30.0, MIB, None)], sent)
        for name in (MEASURED, WRITTEN, *names)
    }

    text = "".join(ET.fromstring(draw_month(month, results)).itertext())

    assert all(name in text for name in names)
    assert "1 of 2 served" in text


@pytest.mark.programs
@pytest.mark.timeout(300)
def test_a_mirror_that_measures_serves_all_and_beats_the_order_written() -> None:
    """In two days in which endpoints come, slow down, lie and die."""
    month = write_month(1, 2, 60)
    images = ImageContents(month)
    names = tuple(endpoint.name for endpoint in month.endpoints)

    measured = summarize(play(month, images, Policy(names, is_measured=True)))
    written = summarize(play(month, images, Policy(names)))

    assert measured.failed == 0
    assert measured.wrong == written.wrong == 0
    assert measured.median <= written.median
    assert measured.excess is not None
    assert measured.excess <= 1.25
