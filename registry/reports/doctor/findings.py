"""What was found by one check, and the report of all. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from registry.errors.masking import mask_secrets

State = Literal["ok", "warn", "fail", "skipped"]
_RANK: tuple[State, ...] = ("fail", "warn", "ok", "skipped")

LONGEST = 1000  # characters of a text

CLIENTS = "docs/clients.md#entrepot-doctor"
SERVER = "docs/operations.md#entrepot-doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, in one sentence.

    `check` names it: a few words, which stay the same. `evidence` is what was seen, `cure` a
    command or what to write where (empty: nothing is to be done), `docs` where more is said of it.
    """

    check: str
    state: State
    sentence: str
    evidence: tuple[str, ...] = ()
    cure: str = ""
    docs: str = ""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All findings: of the `server` on this machine, of the `mirror` as clients see it, of clients.

    `well` is false if something failed, and `worst` is what should be read first (None: nothing).
    """

    version: str
    mirror: str
    well: bool
    worst: Finding | None
    server: Sequence[Finding]
    clients: Sequence[Finding]


def report_findings(
    version: str, mirror: str, server: Sequence[Finding], clients: Sequence[Finding]
) -> DoctorReport:
    """Return the report of all findings, in the order of the checks.

    Files of clients may have tokens in URLs, and programs print them; these become asterisks. What
    a client or another mirror says may have signs that a terminal obeys; these become `?`.
    """
    well = not any(each.state == "fail" for each in (*server, *clients))
    shown = [[_clean(each) for each in found] for found in (server, clients)]
    worst = find_worst(each for found in shown for each in found)
    return DoctorReport(version, mirror, well, worst, *shown)


def _clean(finding: Finding) -> Finding:
    return replace(
        finding,
        sentence=_clean_text(finding.sentence),
        evidence=tuple(map(_clean_text, finding.evidence)),
        cure=_clean_text(finding.cure),
    )


def _clean_text(text: str) -> str:
    plain = "".join(each if each.isprintable() else "?" for each in text[:LONGEST])
    return mask_secrets(plain)


def find_worst(findings: Iterable[Finding]) -> Finding | None:
    """Return the finding that an operator should read first; None if all are well or skipped."""
    bad = [each for each in findings if each.state in ("fail", "warn")]
    return min(bad, key=lambda each: _RANK.index(each.state), default=None)


def skip(check: str, why: str) -> Finding:
    """Return the finding of a check that was not made, as it could not be or makes no sense."""
    return Finding(check, "skipped", why)
