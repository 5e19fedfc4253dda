"""How the report of `entrepot doctor` is shown to people."""

from collections.abc import Iterator, Sequence

from registry.cli.terminal import format_count
from registry.reports.doctor.findings import DoctorReport, Finding
from registry.reports.lines import Verbatim

_WIDTH = 8  # columns of the state


def draw_doctor(report: DoctorReport) -> Iterator[str]:
    """Yield the lines: first a sentence that says whether all is well."""
    found = [*report.server, *report.clients]
    failed = sum(each.state == "fail" for each in found)
    warned = sum(each.state == "warn" for each in found)
    if failed:
        yield f"{format_count(failed, 'problem')} found, {format_count(warned, 'warning')}."
    elif warned:
        yield f"No problem found, {format_count(warned, 'warning')}."
    else:
        yield "All is well."
    if report.server:
        yield ""
        yield "The server on this machine:"
        yield from _draw(report.server)
    if report.clients:
        yield ""
        yield f"The mirror {report.mirror}, and the clients of this machine:"
        yield from _draw(report.clients)


def _draw(findings: Sequence[Finding]) -> Iterator[str]:
    for each in findings:
        yield f"  {each.state:<{_WIDTH}}{each.sentence}"
        if each.state == "ok":
            continue
        yield from (Verbatim(f"{'':{_WIDTH + 2}}- {line}") for line in each.evidence)
        if each.cure:
            yield Verbatim(f"{'':{_WIDTH + 2}}cure: {each.cure}")
