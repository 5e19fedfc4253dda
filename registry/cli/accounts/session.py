"""What the commands of users and tokens share: opening the accounts, and showing the result."""

import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from registry.cli.messages import warn
from registry.cli.printing import print_report
from registry.cli.session import Session, create_missing, operate
from registry.cli.tables import Table
from registry.cli.terminal import format_age

if TYPE_CHECKING:
    from registry.access.account_changes import AccountChanges

_HOUR = 3600.0  # seconds
_Report = TypeVar("_Report")
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="GROUP", help="A group to be in; may be repeated."),
]


def with_accounts(
    config: Path | None,
    work: Callable[["AccountChanges"], Coroutine[Any, Any, _Report]],
    draw: Callable[[_Report], Iterable[str | Table]],
    *,
    as_json: bool,
    adds: bool = False,
    by_password: bool = False,
) -> None:
    """Run `work` on the accounts of the data folder, and print the report that it returns.

    With `adds`, the data folder is made if it is missing, and stderr says what else is needed; with
    `by_password`, so that somebody can log in.
    """

    async def run(session: Session) -> bool:
        from registry.wiring.access import open_accounts  # noqa: PLC0415

        report = await work(open_accounts(session.settings, session.content.locks))
        print_report(report, draw, as_json=as_json)
        if adds:
            _advise(session, by_password=by_password)
        return True

    operate(config, run, create_missing if adds else nullcontext)


def format_last_use(moment: float | None) -> str:
    """Return when an account was used, as a table shows it; it is known to the hour."""
    if moment is None:
        return "never"
    age = time.time() - moment
    return "within the hour" if 0 <= age < _HOUR else format_age(moment)


def _advise(session: Session, *, by_password: bool) -> None:
    """Say on stderr what is missing, so that accounts have an effect."""
    access = session.settings.access
    if access.mode == "open":
        warn('access.mode is "open", so everybody may pull: write mode = "users" in [access]')
    elif not access.rules:
        warn("no rule allows anything: write [[access.rules]] in the settings")
    elif by_password and not access.login_hosts:
        warn(
            "access.login_hosts is empty, so no client is asked for a password: write the name by"
            ' which clients log in, such as login_hosts = ["mirror.lan"]'
        )
