"""The report of `entrepot setup` as text for people: on a terminal, and from a mirror."""

from collections.abc import Iterator
from types import MappingProxyType

from registry.reports.client_setup import ClientFile, ClientSetup
from registry.reports.lines import Verbatim

_STATES = MappingProxyType(
    {
        "restored": "restored {path}",
        "deleted": "deleted {path}, which did not exist before",
        "changed": "removed from {path} what was written for {client}; its other content stays",
    }
)
# What an earlier run has written, and this one does not need.
_WOULD_GO = MappingProxyType(
    {
        "restored": "{path} is not needed any more: --write removes what was written for {client}",
        "deleted": "{path} is not needed any more: --write deletes it",
    }
)
_GONE = MappingProxyType(
    {
        "restored": "removed from {path} what was written for {client}: it is not needed any more",
        "deleted": "deleted {path}, which is not needed any more",
    }
)


def draw_setup(report: ClientSetup, root: str = "") -> Iterator[str]:
    """Yield the lines; `root` is the folder that holds the files, if it is not this machine's."""
    if root and report.action != "show":
        yield f"Below {root}:"
    match report.action:
        case "show":
            yield from _draw_preview(report)
        case "write":
            yield from _draw_written(report)
        case "undo":
            yield from _draw_undone(report)


def _draw_preview(report: ClientSetup) -> Iterator[str]:
    for file in report.files:
        yield from _draw_file(file, report.client)
    is_done = bool(report.files) and all(each.state == "unchanged" for each in report.files)
    if report.files and not is_done:
        yield "Nothing is written: add --write for that."
        yield ""
    yield from _draw_steps(report)


def _draw_file(file: ClientFile, client: str) -> Iterator[str]:
    if file.state in _WOULD_GO or file.state == "unchanged":
        text = _WOULD_GO.get(file.state, "{path} has this already.")
        yield text.format(path=file.path, client=client)
        yield ""
        return
    yield f"{file.path}{' (new)' if file.state == 'new' else ''}:"
    yield ""
    yield Verbatim(file.text.replace("\r\n", "\n").rstrip("\n"))
    yield ""


def _draw_written(report: ClientSetup) -> Iterator[str]:
    if not report.files:
        yield "nothing to do: all of it is written already"
    for file in report.files:
        if file.state in _GONE:
            yield _GONE[file.state].format(path=file.path, client=report.client)
            continue
        kept = f"; the former one is {file.copy}" if file.copy else ""
        yield f"wrote {file.path}{kept}"
        if file.is_open:
            yield f"other users can read the token in it: chmod 600 {file.path}"
    yield ""
    yield from _draw_steps(report)


def _draw_undone(report: ClientSetup) -> Iterator[str]:
    if not report.files:
        yield f"nothing to undo: nothing is written for {report.client}"
    for file in report.files:
        yield _STATES[file.state].format(path=file.path, client=report.client)
    if report.files and report.restart and not report.restarted:
        yield ""
        yield from _draw_commands(f"Let {report.client} read it:", report.restart)


def _draw_steps(report: ClientSetup) -> Iterator[str]:
    is_changed = any(each.state != "unchanged" for each in report.files)
    if report.steps:
        yield from _draw_commands("Run:", report.steps)
        yield ""
    if report.restart and is_changed and not report.restarted:
        yield from _draw_commands(f"Let {report.client} read it:", report.restart)
        yield ""
    elif is_changed and not report.restart and not report.steps:
        yield "Nothing has to be restarted: the file is read at each pull."
        yield ""
    yield from _draw_commands(
        "Check it (the mirror shows each pull on its terminal):", report.checks
    )
    if report.notes:
        yield ""
    yield from (f"- {note}" for note in report.notes)


def _draw_commands(title: str, commands: tuple[str, ...]) -> Iterator[str]:
    yield title
    for command in commands:
        for line in command.split("\n"):
            yield Verbatim(line if "\n" in command else f"  {line}")
