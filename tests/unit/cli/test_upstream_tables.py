"""Laws of the tables of `upstreams`: what they show of what is known, and what they advise."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.cli.tables import Table, lay_out
from registry.cli.upstreams.listing import draw_known
from registry.cli.upstreams.measurement_tables import draw_test, list_settings
from registry.cli.upstreams.numbers import format_long, format_rate, format_short
from registry.cli.upstreams.password_advice import check_password
from registry.oci.digest import Digest
from registry.oci.rate_limits import RateLimit
from registry.reports.upstreams import (
    IMAGE,
    MeasurementProgress,
    UpstreamTest,
    list_known,
    report_progress,
    report_test,
)
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Refusal
from registry.upstream.candidate import Candidate, Layer, Step
from registry.upstream.performance import Performance

FILE = Path("/etc/entrepot/entrepot.toml")
MIB = 1 << 20
OLD, NEW = Digest.of(b"old"), Digest.of(b"new")


def make(name: str, rate: float | None = None, **facts: Any) -> Candidate:
    """Return a candidate at https://<name>.example; without a rate, it cannot be reached."""
    candidate = Candidate(f"https://{name}.example", **facts)
    if rate is None:
        candidate.fail(Step.CONNECTION, "cannot be reached (Connection refused)")
    else:
        candidate.digests.setdefault("app:1", NEW)
        candidate.performance = Performance(first_byte=0.1, rate=rate)
    return candidate


def report(
    *candidates: Candidate, complete: bool = True, configured: tuple[str, ...] = ()
) -> UpstreamTest:
    layer = Layer("app:1", "app", NEW, 20 * MIB)
    return report_test(
        "docker.io", candidates, {"app:1": NEW}, layer, configured=configured, complete=complete
    )


def draw(found: UpstreamTest, width: int = 80) -> str:
    """Return the text of a report on a terminal."""
    return "\n".join(_draw_lines(found, width))


def _draw_lines(found: UpstreamTest, width: int) -> Iterator[str]:
    for block in draw_test(found, FILE):
        if isinstance(block, Table):
            head, body = lay_out(block, width)
            yield from (*head, *body)
        else:
            yield str(block)


@pytest.mark.parametrize(
    ("candidates", "endpoints"),
    [
        # The fastest is first, wherever the registry itself comes.
        (
            [make("slow", MIB), make("own", 2 * MIB, is_own=True), make("fast", 9 * MIB)],
            "fast own slow",
        ),
        # The registry itself stays, as the last one, if it cannot be reached.
        ([make("own", is_own=True), make("slow", MIB), make("fast", 9 * MIB)], "fast slow own"),
        # What fails, or says another digest, is left out.
        ([make("bad"), make("odd", 9 * MIB, digests={"app:1": OLD}), make("good", MIB)], "good"),
        ([make("own", is_own=True), make("bad")], ""),
    ],
)
def test_the_list_to_write(candidates: list[Candidate], endpoints: str) -> None:
    """Best first."""
    wanted = [f"https://{name}.example" for name in endpoints.split()]
    assert list(report(*candidates).endpoints) == wanted


def test_an_endpoint_in_the_settings_stays_if_it_fails() -> None:
    """It may be down for a moment only; it comes before the registry's own host."""
    candidates = [make("own", is_own=True), make("bad"), make("mine"), make("fast", MIB)]
    found = report(*candidates, configured=("https://mine.example",))
    wanted = ["https://fast.example", "https://mine.example", "https://own.example"]
    assert [*found.endpoints] == wanted
    assert not report(make("mine"), configured=("https://mine.example",)).endpoints


def test_who_would_get_the_password_is_told() -> None:
    """A list that sends it to another endpoint is advised against, and is not written."""
    found = replace(report(make("fast", MIB)), gains_password=("https://fast.example",))
    words = "the password of docker.io would be sent to https://fast.example"

    assert words in " ".join(draw(found).split())
    with pytest.raises(Refusal, match=words):
        check_password(found)

    harmless = report(make("fast", MIB))
    check_password(harmless)
    assert "password" not in draw(harmless)


def test_names_are_agreed_on_without_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the settings know `names`, two others have to agree where the registry says nothing."""
    fields = {**UpstreamSettings.model_fields, "names": None}
    monkeypatch.setattr(UpstreamSettings, "model_fields", fields)
    line = 'names = "agree"'
    both = (make("a", MIB), make("b", MIB))
    assert line in [*list_settings(report(*both, make("own", is_own=True)))]
    assert line not in [*list_settings(report(*both, make("own", MIB, is_own=True)))]
    assert line not in [*list_settings(report(both[0]))]


def test_what_a_person_reads() -> None:
    """The ranking, the reason of each failure, who differs, the pull limit, and what to write."""
    limit = RateLimit("https://fast.example", "", 100, 42, 21600.0, "", 0.0)
    text = draw(
        report(
            make("fast", 10 * MIB, limit=limit, has_ranges=True),
            make("odd", MIB, digests={"app:1": OLD}, breaks=1),
            make("bad"),
        )
    )
    assert "measured with a layer of app:1 (20 MiB)" in text
    assert "https://bad.example  connection  cannot be reached (Connection refused)" in text
    assert "https://odd.example is left out: of app:1 it gives another digest than most o" in text
    assert f"({OLD}, and not {NEW})" in text
    assert "https://odd.example: the connection broke once within the downloads" in text
    assert "https://fast.example: 42 of 100 pulls in 6h are left" in text
    assert f"write into {FILE}:" in text
    assert text.endswith('[upstreams."docker.io"]\nendpoints = ["https://fast.example"]')


def test_nothing_works() -> None:
    """There is nothing to write, and no empty table."""
    text = draw(report(make("bad"), complete=False))
    assert text.startswith("interrupted; this is what is known so far:")
    assert text.endswith("none of these endpoints can be used")
    assert "100 MiB" not in text


def test_what_is_known_is_listed() -> None:
    """Each endpoint in its order; of one that was never asked, nothing is claimed."""
    first, second = "https://a.example", "https://b.example"
    known = {("docker.io", second): Performance(0.25, MIB, 3 * MIB, 0.125, 5 * MIB, 2, 1.0)}
    listed = list_known({"docker.io": [second, first]}, known)
    assert [(each.place, each.endpoint) for each in listed] == [(1, second), (2, first)]
    (table,) = draw_known(listed)
    _, (known_row, unknown_row) = lay_out(table, 120)
    assert known_row.split()[:8] == ["docker.io", "250", "ms", "3", "MiB/s", "12%", "5", "MiB"]
    assert unknown_row.split() == ["docker.io", *"-----", "never", first]


def test_progress_names_who_is_measured() -> None:
    """One that is being measured, and how many are done."""
    done, running = make("a", MIB, is_done=True), make("b", MIB)
    assert report_progress([done]) == MeasurementProgress(1, 1)
    running.running, running.received, running.expected = Step.DOWNLOAD, 5, 9
    seen = report_progress([done, running])
    assert seen == MeasurementProgress(1, 2, "https://b.example", "download", 5, 9)


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (None, "-", "-"),
        (0.0352, "35 ms", "0.0 s"),
        (0.9996, "1.0 s", "1.0 s"),
        (59.04, "59.0 s", "59.0 s"),
        (99.94, "99.9 s", "99.9 s"),
        (720.0, "720.0 s", "12 min"),
    ],
)
def test_times_have_their_unit(seconds: float | None, short: str, long: str) -> None:
    """Three digits are enough."""
    assert (format_short(seconds), format_long(seconds)) == (short, long)


def test_rates_have_their_unit() -> None:
    """Bytes per second, in the unit that people compare."""
    assert (format_rate(None), format_rate(2.5 * MIB)) == ("-", "2.5 MiB/s")
    assert IMAGE == 100 * MIB
