"""The tables and lines in which `upstreams test` prints what it has found out. Pure."""

from collections.abc import Iterator
from types import MappingProxyType

from registry.cli.printing import Summary
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_bytes
from registry.cli.upstreams.advice import list_settings
from registry.cli.upstreams.numbers import format_long, format_rate, format_short
from registry.cli.upstreams.password_advice import warn_of_password
from registry.reports.lines import Verbatim
from registry.reports.upstreams import CandidateReport, UpstreamTest
from registry.settings.values import format_duration

_WORDS = ("name", "connection", "TLS", "/v2/", "token", "tags")
# The steps by the heads of their columns.
_STEPS = MappingProxyType({each.upper().removesuffix("ION"): each for each in _WORDS})


def draw_test(test: UpstreamTest, above: str) -> Iterator[str | Table]:
    """Yield the tables, the reasons, and the lines of the settings file below the line `above`."""
    if not test.complete:
        yield "interrupted; this is what is known so far:"
    working = [each for each in test.candidates if each.works]
    if working:
        yield _draw_ranking(working)
        if test.layer is not None:
            size = format_bytes(test.layer.size)
            yield f"measured with a layer of {test.layer.image} ({size})"
        yield ""
    yield _draw_steps(test)
    broken = [each for each in test.candidates if each.failed]
    if broken:
        yield ""
        yield _draw_failures(broken)
    unknown = [each for each in test.candidates if not (each.works or each.failed)]
    yield from ("", *(f"not measured: {each.endpoint}" for each in unknown)) if unknown else ()
    notes = [*_list_notes(test)]
    yield from ("", *notes) if notes else ()
    yield ""
    yield from _draw_advice(test, above)
    yield from warn_of_password(test)


def _draw_ranking(working: list[CandidateReport]) -> Table:
    columns = ("100 MiB", "FIRST BYTE", "1 CONN.", "8 CONN.", "RANGES", "ENDPOINT")
    table = make_table(*columns, numbers=columns[:4], names="ENDPOINT")
    for each in working:
        table.add_row(
            format_long(each.seconds),
            format_short(each.first_byte),
            format_rate(each.rate),
            format_rate(each.total),
            "yes" if each.ranges else "no",
            each.endpoint,
        )
    return table


def _draw_steps(test: UpstreamTest) -> Table:
    table = make_table(*_STEPS, "ENDPOINT", numbers=tuple(_STEPS), names="ENDPOINT")
    for each in test.candidates:
        cells = [
            "failed" if each.failed == step else format_short(each.steps.get(step))
            for step in _STEPS.values()
        ]
        table.add_row(*cells, each.endpoint)
    return table


def _draw_failures(broken: list[CandidateReport]) -> Table:
    table = make_table("FAILED ENDPOINT", "STEP", "REASON", names="FAILED ENDPOINT")
    for each in broken:
        table.add_row(each.endpoint, each.failed, each.why)
    return table


def _list_notes(test: UpstreamTest) -> Iterator[str]:
    for each in (each for each in test.candidates if each.works):
        for image in each.differs:
            whom = "the registry itself" if test.own_works else "most others"
            yield Summary(
                f"{each.endpoint} is left out: of {image} it gives another digest than {whom}"
                f" ({each.digests[image]}, and not {test.agreed[image]})"
            )
        if each.limit is not None:
            period = format_duration(each.limit.period)
            yield (
                f"{each.endpoint}: {each.limit.remaining} of {each.limit.allowed} pulls in {period}"
                " are left"
            )
        yield from (f"{each.endpoint}: {note}" for note in each.notes)


def _draw_advice(test: UpstreamTest, above: str) -> Iterator[str]:
    if not test.endpoints:
        yield "none of these endpoints can be used"
        return
    yield above
    yield ""
    yield from map(Verbatim, list_settings(test))
