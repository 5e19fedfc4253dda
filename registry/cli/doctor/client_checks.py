"""The checks of clients: what each says, and the proof that it asks the mirror."""

import asyncio
import os
import secrets
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from registry.cli.doctor.client_facts import Machine, ask_docker
from registry.cli.doctor.mirror_questions import MirrorQuestions
from registry.cli.doctor.programs import has_program, watch_program
from registry.clients.containerd import CERTIFICATES
from registry.clients.diagnosis.cause import NO_DAEMON, NOT_DOCKER, UNREAD, Cause, Diagnosis
from registry.clients.diagnosis.containerd import find_folder
from registry.clients.diagnosis.docker import diagnose_docker
from registry.clients.diagnosis.known import CONTAINERD, DIAGNOSES, DOCKER, EXAMINED
from registry.clients.diagnosis.pulling import PullCommand, list_pulls
from registry.clients.mirror import Mirror
from registry.errors import EntrepotError
from registry.oci.names import Repository
from registry.oci.probe_tags import write_probe
from registry.reports.doctor.clients import (
    MirrorAnswer,
    Proof,
    judge_client,
    judge_mirror,
    report_no_clients,
    soften_unused,
)
from registry.reports.doctor.findings import Finding

PULLING = 5.0  # seconds that a client has for the probe, and the mirror for an answer
LIMIT = 5.0  # seconds in which the configuration of a client is read
# Where clients look for the certificate of the authority that has signed the mirror's.
_AUTHORITIES = ("/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/containerd/certs.d")


@dataclass(frozen=True, slots=True)
class ClientChecks:
    """Checks clients of a machine; `repository` is of which they pull a probe.

    `is_named` says that the user has named the mirror, and it is not that of this machine.
    """

    machine: Machine
    mirror: Mirror
    repository: Repository
    is_named: bool

    async def run(self, clients: Sequence[str]) -> list[Finding]:
        """Check the mirror and all clients at the same time; without names, all there are."""
        names = clients or self.machine.find_clients()
        asking = asyncio.gather(*map(self._diagnose, names))
        (questions, answer, found), known = await asyncio.gather(self._ask_mirror(), asking)
        if not names:
            return [*found, report_no_clients()]
        diagnoses = dict(zip(names, known, strict=True))
        pulling = (self._prove(each, questions, answer, diagnoses[each]) for each in names)
        proofs = dict(zip(names, await asyncio.gather(*pulling), strict=True))
        findings = {
            each: judge_client(each, self.mirror, answer, diagnoses[each], proofs[each])
            for each in names
        }
        if clients:
            return [*found, *(each for name in names for each in findings[name])]
        return [*found, *soften_unused(findings, diagnoses)]

    async def _ask_mirror(self) -> tuple[MirrorQuestions, MirrorAnswer, list[Finding]]:
        known = self._read_authorities()
        questions = MirrorQuestions(self.mirror, PULLING, known, verifies=self.is_named)
        answer = await self._ask(questions)
        found = [judge_mirror(self.mirror, answer, PULLING)]
        if answer.problem == "unknown":  # clients may know its authority all the same
            questions = MirrorQuestions(self.mirror, PULLING, verifies=False)
            answer = await self._ask(questions)
        return questions, answer, found

    async def _ask(self, questions: MirrorQuestions) -> MirrorAnswer:
        try:
            async with asyncio.timeout(PULLING):
                return await asyncio.to_thread(questions.ask)
        except TimeoutError:
            return MirrorAnswer("timeout", f"no answer within {PULLING:.0f} s")

    def _read_authorities(self) -> str:
        found = []
        for folder in _AUTHORITIES:
            path = PurePosixPath(folder) / self.mirror.host / "ca.crt"
            try:
                found.append(self.machine.read(path) or "")
            except (EntrepotError, OSError):
                continue  # the client that reads it says so
        return "\n".join(filter(None, found))

    async def _diagnose(self, client: str) -> Diagnosis:
        """Return what the configuration of a client says; also if it cannot be read."""
        try:
            async with asyncio.timeout(LIMIT):
                return await self._examine(client)
        except TimeoutError:
            why = f"they were not read within {LIMIT:.0f} s"
        except (EntrepotError, OSError) as error:
            why = str(error)
        sentence = f"the files of {client} cannot be read: {why}"
        return Diagnosis((Cause(UNREAD, sentence, (), "run entrepot doctor as root"),))

    async def _examine(self, client: str) -> Diagnosis:
        examined = await self.machine.examine(client, self.repository.registry, self.mirror)
        if client != DOCKER:
            return await asyncio.to_thread(DIAGNOSES[client], examined)
        info = await ask_docker()
        if isinstance(info, Cause):
            return Diagnosis((info,))
        return await asyncio.to_thread(diagnose_docker, info, examined)

    async def _prove(
        self, client: str, questions: MirrorQuestions, answer: MirrorAnswer, diagnosis: Diagnosis
    ) -> Proof:
        """Let a client pull a probe, and ask the mirror which client has asked for it."""
        if any(each.kind in (NO_DAEMON, NOT_DOCKER) for each in diagnosis.causes):
            return Proof(why_not="its daemon does not answer")
        if answer.problem:
            return Proof(why_not="the mirror is not reached")
        if not answer.tells_probes:
            return Proof(why_not="this mirror does not say who has asked it", requests=None)
        nonce = secrets.token_hex(16)
        image = f"{self.repository}:{write_probe(nonce)}"
        commands = list_pulls(client, image, self._find_certificates(client))
        command = next((each for each in commands if has_program(each.words[0])), None)
        if command is None:
            needed = " or ".join(dict.fromkeys(each.words[0] for each in commands))
            return Proof(why_not=f"{needed} is not on this machine")
        return await self._pull(command, image, nonce, questions)

    def _find_certificates(self, client: str) -> Path:
        """Return the folder `certs.d` of containerd, which `ctr` has to be told."""
        if client != CONTAINERD:
            return Path("/")
        try:
            return self.machine.locate(find_folder(self.machine.read))
        except (EntrepotError, OSError):
            return self.machine.root / str(CERTIFICATES).lstrip("/")

    async def _pull(
        self, command: PullCommand, image: str, nonce: str, questions: MirrorQuestions
    ) -> Proof:
        """Run a command until the mirror has seen its probe, it has ended, or time is over."""

        async def is_seen() -> bool:
            found = await asyncio.to_thread(questions.find_requests, nonce)
            return any(not each.get("refused") for each in found or ())

        with tempfile.TemporaryDirectory(prefix="entrepot-doctor-") as folder:
            (Path(folder) / "Dockerfile").write_text(f"FROM {image}\n")
            ran = await watch_program(command.words, PULLING, is_seen, Path(folder))
        requests = await asyncio.to_thread(questions.find_requests, nonce)
        text, program = shlex.join(command.words), command.words[0]
        if ran is None:
            return Proof(text, requests=requests, why_not=f"{program} cannot be run")
        return Proof(text, ran.output, requests, by=program if command.is_partial else "")


def find_machine(root: Path) -> Machine:
    """Return this machine, whose files are below a root."""
    home = PurePosixPath(os.environ.get("HOME") or "/")
    return Machine(root, home, os.environ, os.geteuid() == 0)


def find_unknown(clients: Sequence[str]) -> list[str]:
    """Return the names that are no clients that can be checked."""
    return [each for each in clients if each not in EXAMINED]
