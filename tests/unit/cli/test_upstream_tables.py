"""Laws of the tables of `upstreams`: what they show of what is known, and what they advise."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from registry.cli.tables import Table, lay_out
from registry.cli.upstreams.advice import is_written, list_changes, list_settings
from registry.cli.upstreams.listing import draw_known
from registry.cli.upstreams.measurement_tables import draw_test
from registry.cli.upstreams.numbers import format_long, format_rate, format_short
from registry.cli.upstreams.password_advice import check_password
from registry.oci.digest import Digest
from registry.oci.rate_limits import RateLimit
from registry.reports.name_advice import EndpointRules
from registry.reports.upstreams import (
    IMAGE,
    MeasurementProgress,
    UpstreamTest,
    list_known,
    order_endpoints,
    report_progress,
    report_test,
)
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Refusal
from registry.upstream.candidate import Candidate, Layer, Step
from registry.upstream.performance import Performance

ABOVE = "to use them in this order, write into /etc/entrepot/entrepot.toml:"
MIB = 1 << 20
OLD, NEW = Digest.of(b"old"), Digest.of(b"new")


USUAL = EndpointRules()


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
    *candidates: Candidate, complete: bool = True, rules: EndpointRules = USUAL
) -> UpstreamTest:
    layer = Layer("app:1", "app", NEW, 20 * MIB)
    return report_test(
        "docker.io", candidates, {"app:1": NEW}, layer, rules=rules, complete=complete
    )


def draw(found: UpstreamTest, width: int = 80) -> str:
    """Return the text of a report on a terminal."""
    return "\n".join(_draw_lines(found, width))


def _draw_lines(found: UpstreamTest, width: int) -> Iterator[str]:
    for block in draw_test(found, ABOVE):
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


A, B = make("a", MIB), make("b", 2 * MIB)
DEAD = make("own", is_own=True)
AGREE = [
    "# the registry is not reached: two mirrors must agree (docs/security.md)",
    'names = "agree"',
]


@pytest.mark.parametrize(
    ("candidates", "rules", "lines"),
    [
        ((A, B, DEAD), USUAL, AGREE),
        ((A, B, make("own", MIB, is_own=True)), USUAL, []),
        # Nobody could agree with the only one.
        ((A, DEAD), USUAL, ['trusted = ["a.example"]']),
        ((A, DEAD), EndpointRules(names="agree"), ['names = "trusted"', 'trusted = ["a.example"]']),
        ((A, make("odd", 9 * MIB, digests={"app:1": OLD}), DEAD), USUAL, ["trusted"]),
        # There is only one, which is trusted anyway.
        ((A,), USUAL, []),
        ((A,), EndpointRules(names="agree"), ['names = "trusted"']),
        # What the operator has chosen stays, while it works.
        ((A, B, DEAD), EndpointRules(names="first"), []),
        ((A, B, DEAD), EndpointRules(trusted=("https://a.example",)), []),
        ((A, DEAD), EndpointRules(names="agree", trusted=("https://a.example",)), []),
        ((B, DEAD), EndpointRules(trusted=("https://a.example",)), ['trusted = ["b.example"]']),
    ],
)
def test_who_may_say_what_a_tag_means(
    candidates: tuple[Candidate, ...], rules: EndpointRules, lines: list[str]
) -> None:
    """Where the registry itself says nothing, two others have to agree, or one is trusted."""
    written = [*list_settings(report(*candidates, rules=rules))]
    for line in lines:
        assert any(each.startswith(line) for each in written), written
    assert ("agree" in "".join(written)) == (lines == AGREE)
    assert ("trusted" in "".join(written)) == any("trusted" in line for line in lines)


def test_two_endpoints_at_one_host_cannot_agree() -> None:
    """Different ports of a host are one voice, so that one of them is trusted, with its port."""
    one, two = make("x:5000", MIB), make("x:6000", 2 * MIB)
    one.url, two.url = "https://x:5000", "https://[::1]:6000"
    other = make("y", MIB)
    other.url = "https://x:7000"
    assert report(one, other, DEAD).trusted == ("x:5000",)
    assert report(two, DEAD).trusted == ("https://[::1]:6000",)


def test_the_only_one_has_its_risk_beside_it() -> None:
    """It says for every tag what it means, so the reason and the risk are in the file."""
    lines = "\n".join(list_settings(report(A, DEAD)))
    assert "it alone then says\n# which image a tag means" in lines
    assert max(map(len, lines.splitlines())) <= 80


def test_what_is_there_already_is_not_written() -> None:
    """The settings have all of it, or a part."""
    changes = list_changes(report(A, B, DEAD))
    same = UpstreamSettings(endpoints=tuple(report(A, B, DEAD).endpoints), names="agree")
    assert is_written(changes, same)
    assert not is_written(changes, replace(same, names="trusted"))


def test_an_endpoint_in_the_settings_stays_if_it_fails() -> None:
    """It may be down for a moment only; it comes before the registry's own host."""
    candidates = [make("own", is_own=True), make("bad"), make("mine"), make("fast", MIB)]
    found = report(*candidates, rules=EndpointRules(("https://mine.example",)))
    wanted = ["https://fast.example", "https://mine.example", "https://own.example"]
    assert [*found.endpoints] == wanted
    assert not report(make("mine"), rules=EndpointRules(("https://mine.example",))).endpoints


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
    assert ABOVE in text
    assert text.endswith('[upstreams."docker.io"]\nendpoints = ["https://fast.example"]')


def test_nothing_works() -> None:
    """There is nothing to write, and no empty table."""
    text = draw(report(make("bad"), complete=False))
    assert "not measured" not in text
    assert text.startswith("interrupted; this is what is known so far:")
    assert text.endswith("none of these endpoints can be used")
    assert "100 MiB" not in text


def test_what_was_not_measured_is_named() -> None:
    """After Ctrl-C, nobody is left out of what is shown."""
    waiting, running = Candidate("https://w.example"), Candidate("https://r.example")
    running.running = Step.DOWNLOAD
    text = draw(report(A, make("bad"), waiting, running, complete=False))
    listed = [line for line in text.splitlines() if line.startswith("not measured")]
    assert listed == ["not measured: https://w.example", "not measured: https://r.example"]


def test_each_url_has_a_line() -> None:
    """A long line would be broken by the terminal, and could not be pasted."""
    text = draw(report(A, B, make("own", MIB, is_own=True)))
    listed = [f'  "https://{name}.example",' for name in ("b", "a", "own")]
    assert text.endswith("\n".join(["endpoints = [", *listed, "]"]))


def test_what_is_known_is_listed() -> None:
    """Each endpoint in its order; of one that was never asked, nothing is claimed."""
    first, second = "https://a.example", "https://b.example"
    known = {("docker.io", second): Performance(0.25, MIB, 3 * MIB, 0.125, 5 * MIB, 2, 1.0)}
    listed = list_known({"docker.io": [second, first]}, known, {"docker.io": MIB})
    assert [(each.place, each.endpoint) for each in listed] == [(1, second), (2, first)]
    assert [each.max_rate for each in listed] == [MIB, MIB]
    table, line = draw_known(listed, {"docker.io": "1MiB a second now"}, "docker.io")
    assert isinstance(table, Table)
    _, (known_row, unknown_row) = lay_out(table, 120)
    assert known_row.split()[:8] == ["docker.io", "250", "ms", "3", "MiB/s", "12%", "5", "MiB"]
    assert unknown_row.split() == ["docker.io", *"-----", "never", first]
    assert line == "max_rate of docker.io: 1MiB a second now"


@pytest.mark.parametrize(
    ("used", "shown", "unused"),
    [
        ("b.example", ["b.example"], "never used: docker.io, a.example"),
        # On a new installation, it is the default upstream; and one that is named is shown.
        ("", ["docker.io"], "never used: a.example, b.example"),
    ],
)
def test_upstreams_that_were_never_used_are_named(used: str, shown: list[str], unused: str) -> None:
    """They have one line, which is below those that matter."""
    names = ("docker.io", "a.example", "b.example")
    endpoints = {name: [f"https://{name}"] for name in names}
    known = {(used, f"https://{used}"): Performance(0.25, MIB, at=1.0)} if used else {}
    listed = list_known(endpoints, known, dict.fromkeys(names, math.inf))
    table, line = draw_known(listed, {"docker.io": "unlimited now"} if used else {}, "docker.io")
    assert isinstance(table, Table)
    assert [row.split()[0] for row in lay_out(table, 120)[1]] == shown
    assert line == unused
    assert {each.max_rate for each in listed} == {None}


def test_a_suspect_is_listed_last() -> None:
    """It is asked last, for as long as it is suspected, however fast it is."""
    first, second = "https://a.example", "https://b.example"
    known = {("docker.io", first): Performance(0.1, MIB, suspected_until=100.0)}
    assert order_endpoints("docker.io", [first, second], known, 99.0) == [second, first]
    assert order_endpoints("docker.io", [first, second], known, 100.0) == [first, second]


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
