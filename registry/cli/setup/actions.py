"""What `entrepot setup` does, and the report of it."""

import shlex
import subprocess  # the commands are ours # nosec B404
import sys
from dataclasses import replace
from typing import Literal

from registry.cli.messages import FAILED, MISUSED, fail
from registry.clients.changes import FileChange
from registry.clients.installation import Installation, Outcome
from registry.clients.known import CLIENTS, Planner
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, Scope
from registry.errors import ClientFileInvalid
from registry.reports.client_setup import ClientFile, ClientSetup
from registry.settings.values import Refusal


def find_planner(client: str) -> Planner:
    """Return what plans for a client; end the command if it is not known."""
    if client not in CLIENTS:
        *others, last = CLIENTS
        fail(f"{client[:40]!r} is none of {', '.join(others)} and {last}", MISUSED)
    return CLIENTS[client]


def make_plan(
    client: str, planner: Planner, mirror: Mirror, scope: Scope, installation: Installation
) -> ClientPlan:
    """Return what the client needs.

    Raises:
        ClientFileInvalid: it cannot be set up so; it says why.
        OSError: a file of it cannot be read.
    """
    try:
        return planner(mirror, scope, installation.read_without(client))
    except Refusal as error:
        raise ClientFileInvalid(client, 0, error.why, error.cure) from error


def set_up(
    installation: Installation, client: str, mirror: Mirror, plan: ClientPlan, *, write: bool
) -> ClientSetup:
    """Write what the client needs, or find out what would be written.

    Raises:
        ClientFileInvalid: a file cannot be changed so.
        OSError: the disk refused.
    """
    if write and not plan.files:
        fail(f"{client} has no file on this machine: run what is printed without --write", MISUSED)
    if write:
        files = [_report_outcome(each) for each in installation.write(client, plan)]
    else:
        changes = installation.preview(client, plan)
        files = [_report_change(each) for each in changes if each.changes or not each.is_undone]
    return ClientSetup(
        client,
        mirror.url,
        "write" if write else "show",
        tuple(files),
        plan.steps,
        plan.restart,
        checks=plan.checks,
        notes=plan.notes,
    )


def _report_change(change: FileChange) -> ClientFile:
    text = "" if change.is_undone else (change.content or b"").decode()
    return ClientFile(change.path, _find_state(change), text)


def _report_outcome(outcome: Outcome) -> ClientFile:
    change = outcome.change
    is_open = outcome.is_open and change.is_secret
    return ClientFile(change.path, _find_state(change), "", outcome.copy, is_open)


def _find_state(
    change: FileChange,
) -> Literal["new", "changed", "unchanged", "restored", "deleted"]:
    if change.is_undone:
        return "deleted" if change.content is None else "restored"
    if not change.changes:
        return "unchanged"
    return "new" if change.former is None else "changed"


def undo_setup(installation: Installation, client: str) -> ClientSetup:
    """Undo what was written for the client.

    Raises:
        ClientFileInvalid: a file cannot be changed so.
        OSError: the disk refused.
    """
    outcomes, restart = installation.undo(client)
    files = []
    for change in (each.change for each in outcomes):
        state: Literal["deleted", "changed", "restored"] = "restored"
        if change.content is None:
            state = "deleted"
        elif change.is_edited or change.edits:
            state = "changed"
        files.append(ClientFile(change.path, state))
    return ClientSetup(client, "", "undo", tuple(files), restart=restart)


def restart_client(report: ClientSetup) -> ClientSetup:
    """Run the commands after which the client reads its files; end the command if one fails.

    What they print goes to stderr: on stdout is the report.
    """
    done = (
        "the files are as they were before" if report.action == "undo" else "the files are written"
    )
    for command in report.restart:
        words = shlex.split(command)
        try:
            ended = subprocess.run(words, check=False, stdout=sys.stderr)  # noqa: S603 - ours, no shell # nosec B603
        except OSError as error:
            fail(f"{command}: {error.strerror}; {done}", FAILED)
        if ended.returncode:
            fail(f"{command} failed (exit {ended.returncode}); {done}", FAILED)
    return replace(report, restarted=bool(report.restart))
