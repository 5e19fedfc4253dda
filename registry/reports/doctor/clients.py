"""What is found of a mirror as clients see it, and of each client. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from registry.clients.diagnosis.cause import (
    NO_DAEMON,
    NOT_DOCKER,
    NOT_SET_UP,
    UNREAD,
    Cause,
    Diagnosis,
    advise_setup,
    split_address,
)
from registry.clients.diagnosis.pulling import explain_output, shorten
from registry.clients.mirror import Mirror
from registry.reports.doctor.findings import CLIENTS, Finding, skip

MIRROR = "mirror"


@dataclass(frozen=True, slots=True)
class MirrorAnswer:
    """What came of asking the mirror from this machine.

    `problem` is one of a few words (empty: it answered), and `why` is what the system said.
    `status` and `server` are those of the answer to `/v2/`. `tells_probes` says that it knows
    about probes.
    """

    problem: str = ""
    why: str = ""
    status: int = 0
    server: str = ""
    tells_probes: bool = False

    @property
    def needs_login(self) -> bool:
        """Whether it asks everybody for a login."""
        return self.status in (401, 403)  # 403: where a login cannot be asked for


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of pulling a probe by a client.

    `requests` are those that the mirror has noted for it; None: the mirror could not be asked.
    `why_not` says why nothing was pulled (empty: it was). `by` is the program, if another one than
    the client has pulled by the client's files: it proves nothing of the client's own settings.
    """

    command: str = ""
    output: str = ""
    requests: Sequence[Mapping[str, Any]] | None = ()
    why_not: str = ""
    by: str = ""


_PROBLEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "name": ("the name {host} has no address", "getent hosts {name}"),
        "refused": ("nobody listens at {host}", "entrepot status, on the machine of the mirror"),
        "timeout": ("{host} does not answer within {seconds:.0f} s", "ping -c 3 {name}"),
        "unreachable": ("{host} cannot be reached", "ip route get {name}"),
        "certificate": (
            "the certificate of {host} has ended, or is for another name",
            "openssl s_client -connect {name}:{port} </dev/null | openssl x509 -noout -text",
        ),
        "plain": (
            "{host} speaks plain HTTP, and not TLS",
            "entrepot doctor --mirror http://{host}",
        ),
        "tls": ("{host} speaks TLS, and not plain HTTP", "entrepot doctor --mirror https://{host}"),
        "other": ("what answers at {host} is no registry", "curl -v {url}/v2/"),
    }
)


def judge_mirror(mirror: Mirror, answer: MirrorAnswer, seconds: float) -> Finding:
    """Return whether the mirror is reached from this machine; it had `seconds` for that."""
    if answer.problem == "unknown":
        sentence = "The certificate of the mirror is of an authority that is not known here."
        cure = f"entrepot doctor --mirror {mirror.url} --ca ca.crt"
        return Finding(MIRROR, "warn", sentence, (answer.why,), cure, CLIENTS)
    if answer.problem:
        what, cure = _PROBLEMS[answer.problem]
        _, name, port = split_address(mirror.url)
        words = {"name": name, "port": port, "seconds": seconds}
        words |= {"host": mirror.host, "url": mirror.url}
        sentence = f"The mirror cannot be used from here: {what.format(**words)}."
        return Finding(MIRROR, "fail", sentence, (answer.why,), cure.format(**words), CLIENTS)
    evidence = (f"GET {mirror.url}/v2/: {answer.status}, Server: {answer.server or 'not named'}",)
    if answer.needs_login:
        return Finding(MIRROR, "ok", "The mirror answers, and asks for a login.", evidence)
    if answer.status != 200:
        sentence = f"The mirror answers {answer.status} to {mirror.url}/v2/."
        return Finding(MIRROR, "fail", sentence, evidence, f"curl -v {mirror.url}/v2/", CLIENTS)
    return Finding(MIRROR, "ok", f"The mirror answers at {mirror.url}.", evidence)


def judge_client(
    client: str, mirror: Mirror, answer: MirrorAnswer, diagnosis: Diagnosis, proof: Proof
) -> list[Finding]:
    """Return whether a client uses the mirror, and if not, why."""
    requests = proof.requests or ()
    passed = [each for each in requests if not each.get("refused")]
    evidence = (*diagnosis.evidence, *map(_describe_request, requests))
    if diagnosis.causes and diagnosis.causes[0].kind == NOT_DOCKER:
        return [skip(client, f"{client} on this machine: {diagnosis.causes[0].sentence}.")]
    is_enough = not proof.by or all(each.stays for each in diagnosis.causes)
    if passed and is_enough:
        only = f", {diagnosis.only}" if diagnosis.only else ""
        sentence = f"{client} on this machine uses the mirror{only}."
        if proof.by:
            sentence = f"The files of {client} lead to the mirror, as {proof.by} has shown."
        found = [Finding(client, "ok", sentence, evidence)]
        stays = [each for each in diagnosis.causes if each.stays]
        return [*found, *(_warn(client, each) for each in stays)]
    causes = list(diagnosis.causes)
    if requests and not passed:
        causes.insert(0, _explain_refusal(client, mirror, requests[-1]))
    elif answer.needs_login and not proof.why_not:
        causes.append(_explain_login(client, mirror))
    if cause := explain_output(client, proof.output, mirror):
        causes.append(cause)
    if not causes or (proof.why_not and causes[0].kind == UNREAD):
        return [_judge_unexplained(client, answer, diagnosis, proof)]
    first, *others = causes
    seen = evidence if requests else _describe_unseen(proof)
    main = Finding(
        client,
        "fail",
        f"{client} on this machine does not use the mirror: {first.sentence}.",
        tuple(dict.fromkeys((*first.evidence, *seen))),
        first.cure,
        CLIENTS,
    )
    return [main, *(_warn(client, each) for each in others)]


def _warn(client: str, cause: Cause) -> Finding:
    sentence = f"{cause.sentence[:1].upper()}{cause.sentence[1:]}."
    if cause.sentence.startswith(client):
        sentence = f"{cause.sentence}."
    return Finding(client, "warn", sentence, cause.evidence, cause.cure, CLIENTS)


def _judge_unexplained(
    client: str, answer: MirrorAnswer, diagnosis: Diagnosis, proof: Proof
) -> Finding:
    """Return what is found if nothing in the configuration is wrong."""
    named = diagnosis.evidence
    if diagnosis.causes:
        cause = diagnosis.causes[0]
        sentence = f"It is not known whether {client} uses the mirror: {cause.sentence}."
        return Finding(client, "skipped", sentence, named, cause.cure, CLIENTS)
    if answer.problem:
        sentence = f"{client} is set up, and the mirror cannot be reached."
        return Finding(client, "skipped", sentence, named)
    if proof.why_not or proof.requests is None:
        why = proof.why_not or "the mirror does not say who has asked it"
        sentence = f"{client} is set up; no image was pulled to prove it: {why}."
        return Finding(client, "skipped", sentence, named)
    sentence = f"{client} on this machine does not use the mirror, although it is set up for it."
    evidence = (*named, *_describe_unseen(proof))
    return Finding(client, "fail", sentence, evidence, proof.command, CLIENTS)


def _describe_request(request: Mapping[str, Any]) -> str:
    who = request.get("client") or "an address that is not kept"
    agent = request.get("agent") or "a program without a name"
    user = f" as {request['user']}" if request.get("user") else ""
    what = request.get("repository") or "a repository that is not known there"
    return f"the mirror was asked for {what} by {who}{user}, with {agent}"


def _describe_unseen(proof: Proof) -> tuple[str, ...]:
    if proof.why_not or not proof.command:
        return ()
    said = [shorten(line) for line in proof.output.splitlines() if line.strip()]
    return (f"the mirror was not asked for the probe: {proof.command}", *said[-1:])


def _explain_refusal(client: str, mirror: Mirror, request: Mapping[str, Any]) -> Cause:
    """Return why the mirror has refused a request that it has seen."""
    user = str(request.get("user") or "")
    match str(request.get("refused")):
        case "login" | "rules" if not user:
            return _explain_login(client, mirror)
        case "login" | "rules":
            sentence = f"no rule of the mirror lets {user} have this image"
            return Cause("rules", sentence, (), "entrepot config show, on the mirror: access.rules")
        case "images":
            sentence = "the mirror may not mirror this image: allow, deny"
            return Cause("rules", sentence, (), "entrepot doctor --probe IMAGE, with another image")
        case "registry":
            sentence = "the mirror does not mirror this registry"
            return Cause("registry", sentence, (), "entrepot upstreams ls, on the mirror")
        case _:
            cure = "journalctl -u entrepot -n 100, on the mirror"
            return Cause("refused", "the mirror has refused its request", (), cure)


def _explain_login(client: str, mirror: Mirror) -> Cause:
    sentence = "the mirror asks for a login, and this client has none"
    cure = advise_setup(client, mirror, "--token-file", "token")
    return Cause("login", sentence, (), cure)


def soften_unused(
    found: Mapping[str, Sequence[Finding]], diagnoses: Mapping[str, Diagnosis]
) -> list[Finding]:
    """Return all findings; beside a client that uses the mirror, one that nobody has set up warns.

    On a machine with several clients, people use one.
    """
    is_used = any(each[0].state == "ok" for each in found.values() if each)
    result: list[Finding] = []
    for client, findings in found.items():
        causes = diagnoses[client].causes if client in diagnoses else ()
        is_unused = bool(causes) and causes[0].kind in (NOT_SET_UP, NO_DAEMON)
        soften = is_used and is_unused
        result += [_soften(each) if soften else each for each in findings]
    return result


def _soften(finding: Finding) -> Finding:
    return replace(finding, state="warn") if finding.state == "fail" else finding


def report_no_clients() -> Finding:
    """Return the finding that there is nothing to look at."""
    return skip("clients", "No client of containers was found on this machine.")
