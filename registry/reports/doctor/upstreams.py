"""What is found of an upstream: whether it answers, its pull limit, its clock. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from registry.reports.doctor.findings import SERVER, Finding, State
from registry.reports.status import FEW_PULLS

WRONG_CLOCK = 60.0  # seconds; from there on, tokens and signed URLs may be refused


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What asking an endpoint has shown.

    `failed` is the step that failed, and `why` the reason; both are empty if it works. `seconds`
    are those of each step. `date` is the header of its answer, which came at `asked` (epoch
    seconds). `pulls` are those that remain, and all that it allows; None if it does not say.
    """

    endpoint: str
    failed: str = ""
    why: str = ""
    seconds: tuple[tuple[str, float], ...] = ()
    date: str = ""
    asked: float = 0.0
    pulls: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class AskedUpstream:
    """An upstream and its endpoints; `is_default` if plain names belong to it.

    `has_password` says that a login is set.
    """

    name: str
    endpoints: Sequence[EndpointFacts]
    is_default: bool = False
    has_password: bool = False


def judge_upstream(upstream: AskedUpstream) -> Finding:
    """Return what is found of an upstream.

    One that plain names do not belong to may be of no use to this site: it only warns.
    """
    check = f"upstream {upstream.name}"
    evidence = tuple(map(_describe, upstream.endpoints))
    failing = [each for each in upstream.endpoints if each.failed]
    cure = f"entrepot upstreams test --upstream {upstream.name}"
    if len(failing) == len(upstream.endpoints):
        state: State = "fail" if upstream.is_default else "warn"
        first = failing[0]
        sentence = f"{upstream.name} cannot be used: {_name_step(first.failed)} fails: {first.why}."
        return Finding(check, state, sentence, evidence, _choose_cure(first, cure), SERVER)
    if failing:
        sentence = f"{upstream.name} answers, but {failing[0].endpoint} does not."
        return Finding(check, "warn", sentence, evidence, cure, SERVER)
    if wrong := [each for each in upstream.endpoints if abs(_find_error(each)) > WRONG_CLOCK]:
        error = _find_error(wrong[0])
        side = "behind" if error > 0 else "ahead of"
        sentence = (
            f"The clock of this machine is {abs(error):.0f} s {side} that of {upstream.name}."
        )
        return Finding(check, "warn", sentence, evidence, "timedatectl set-ntp true", SERVER)
    if low := [each for each in upstream.endpoints if _is_low(each)]:
        left, allowed = low[0].pulls or (0, 0)
        sentence = f"{upstream.name} has {left} of {allowed} pulls left."
        cure = "" if upstream.has_password else "set username and password_file in the settings"
        return Finding(check, "warn", sentence, evidence, cure or "entrepot status", SERVER)
    return Finding(check, "ok", f"{upstream.name} answers.", evidence)


def _name_step(step: str) -> str:
    return f"the step {step!r}"


def _choose_cure(endpoint: EndpointFacts, otherwise: str) -> str:
    host = endpoint.endpoint.partition("://")[2].partition("/")[0].rpartition("@")[2]
    name = host.rpartition(":")[0] or host
    if endpoint.failed == "name":
        return f"getent hosts {name}"
    return otherwise


def _describe(endpoint: EndpointFacts) -> str:
    steps = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in endpoint.seconds)
    result = f"{endpoint.failed}: {endpoint.why}" if endpoint.failed else "works"
    pulls = ""
    if endpoint.pulls is not None:
        pulls = f"; {endpoint.pulls[0]} of {endpoint.pulls[1]} pulls left"
    return f"{endpoint.endpoint}: {result}{pulls}{f' ({steps})' if steps else ''}"


def _find_error(endpoint: EndpointFacts) -> float:
    """Return by how many seconds the clock of an endpoint is ahead of this one; 0: not known."""
    if not endpoint.date:
        return 0.0
    try:
        return parsedate_to_datetime(endpoint.date).timestamp() - endpoint.asked
    except (ValueError, OverflowError):
        return 0.0


def _is_low(endpoint: EndpointFacts) -> bool:
    return endpoint.pulls is not None and endpoint.pulls[0] < FEW_PULLS * endpoint.pulls[1]
