"""Rows of registries that do things in their own way, and a mirror that knows each of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from registry.settings.secret import Secret
from tests.fakes.upstream import ROBOT, FakeUpstream, put_on, take_off
from tests.fakes.upstream.conduct import Conduct
from tests.harness.mirror import MirrorProcess


@dataclass(frozen=True)
class Row:
    """A registry: a face by name, or Docker Hub, with further switches."""

    name: str
    face: str = ""
    switches: Mapping[str, Any] = field(default_factory=dict)
    expected: object = None

    def put_on(self, conduct: Conduct) -> None:
        """Let a fake upstream play this registry."""
        take_off(conduct)
        if self.face:
            put_on(conduct, self.face)
        for switch, value in self.switches.items():
            assert hasattr(conduct, switch), f"{switch} is not a switch"
            setattr(conduct, switch, value)

    def write_table(self, hub: FakeUpstream, password: Path | None = None) -> dict[str, Any]:
        """Return the settings of an upstream that plays this registry.

        A password is in the file `password`, as in a configuration file, or else in the table.
        """
        table: dict[str, Any] = {"endpoints": [hub.endpoint]}
        if hub.require_user is None:
            return table
        secret: dict[str, Any] = {"password": Secret(ROBOT[1])}
        if password is not None:
            secret = {"password_file": str(password)}
        realm = hub.realm.split("/")[2]
        return table | {"username": ROBOT[0], "auth_realms": [realm]} | secret


def row(name: str, face: str = "", *, expected: object = None, **switches: Any) -> Row:
    """A row; `switches` are attributes of `Conduct`."""
    return Row(name, face, switches, expected)


# No referrers API, in many ways.
NO_API = [
    row("login page", referrers_login=True),
    *(
        row(f"status {status}", referrers_status=status)
        for status in (400, 403, 404, 405, 406, 410, 501)
    ),
    row("web page", referrers_type="text/html"),
    row("plain JSON", referrers_type="application/json"),
    row("login page below a project", referrers_login=True, project="acme/hub/"),
]


class Faces:
    """An upstream that plays the rows, and a mirror that knows it under a name for each row."""

    def __init__(self, hub: FakeUpstream, mirror: MirrorProcess, rows: Sequence[Row]) -> None:
        self.hub = hub
        self.mirror = mirror
        self._rows = rows

    @contextmanager
    def play(self, row: Row) -> Iterator[str]:
        """Play a row; yield the name under which the mirror knows it."""
        self.hub.faults.clear()
        self.hub.journal.clear()
        row.put_on(self.hub)
        try:
            yield name_registry(self._rows.index(row))
        finally:
            self.hub.faults.clear()
            take_off(self.hub)


def name_registry(number: int) -> str:
    """Return the name under which the mirror knows the row of this number."""
    return f"u{number}.test"


@contextmanager
def open_faces(folder: Path, rows: Sequence[Row], **settings: Any) -> Iterator[Faces]:
    """Start an upstream, and a mirror of it with one worker."""
    password = folder / "password"
    password.write_text(ROBOT[1])
    with FakeUpstream() as hub:
        tables: dict[str, Any] = {}
        for number, row in enumerate(rows):
            row.put_on(hub)
            tables[name_registry(number)] = row.write_table(hub, password)
        take_off(hub)
        with MirrorProcess(folder, tables, settings, workers=1) as mirror:
            yield Faces(hub, mirror, rows)


def each_row(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """Run a test for each row."""
    return pytest.mark.parametrize("row", rows, ids=[each.name.replace(" ", "-") for each in rows])
