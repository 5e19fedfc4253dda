"""`entrepot users`: who may log in with a password."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.accounts.session import Groups, format_last_use, with_accounts
from registry.cli.messages import MISUSED, fail
from registry.cli.session import Config, Json
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_age
from registry.reports.accounts import UserReport, report_user

if TYPE_CHECKING:
    from registry.access.account_changes import AccountChanges

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the user.")]
_Stdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
_NoPassword = Annotated[
    bool,
    typer.Option("--no-password", help="Let the user in by a client certificate only."),
]
_LONGEST = 4096  # characters that are read from standard input


def build_users_app() -> typer.Typer:
    """Return the sub-command `users`."""
    app = typer.Typer(
        help='Add, remove and list users, for access.mode = "users".', no_args_is_help=True
    )
    app.command("add")(add_user)
    app.command("passwd")(change_password)
    app.command("rm")(remove_user)
    app.command("ls")(list_users)
    return app


def add_user(
    name: _Name,
    groups: Groups = None,
    *,
    password_stdin: _Stdin = False,
    no_password: _NoPassword = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Add a user, whose password is asked for. It counts within a second.

    Example: entrepot users add alice --group dev
    """

    async def add(accounts: "AccountChanges") -> UserReport:
        password = None if no_password else _read_password(from_stdin=password_stdin)
        return report_user(await accounts.add_user(name, password, groups or ()))

    with_accounts(config, add, _draw_added, as_json=as_json, adds=True, by_password=not no_password)


def _draw_added(user: UserReport) -> Iterator[str]:
    yield f"added the user {user.name}"


def change_password(
    name: _Name,
    password_stdin: _Stdin = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Change the password of a user, who has to log in again within a second.

    Example: entrepot users passwd alice
    """

    async def change(accounts: "AccountChanges") -> UserReport:
        accounts.read().get_user(name)  # before the password is asked for
        password = _read_password(from_stdin=password_stdin)
        return report_user(await accounts.set_password(name, password))

    with_accounts(config, change, _draw_changed, as_json=as_json)


def _draw_changed(user: UserReport) -> Iterator[str]:
    yield f"changed the password of {user.name}"


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline(_LONGEST).rstrip("\r\n")
    if not sys.stdin.isatty():
        fail("no terminal to ask for the password: use --password-stdin", MISUSED)
    text: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return text


def remove_user(name: _Name, config: Config = None, as_json: Json = False) -> None:
    """Remove a user, who can pull nothing more within a second.

    Example: entrepot users rm alice
    """

    async def remove(accounts: "AccountChanges") -> UserReport:
        return report_user(await accounts.remove_user(name))

    with_accounts(config, remove, _draw_removed, as_json=as_json)


def _draw_removed(user: UserReport) -> Iterator[str]:
    yield f"removed the user {user.name}"


def list_users(config: Config = None, as_json: Json = False) -> None:
    """List the users, with their groups and last uses.

    Example: entrepot users ls
    """

    async def read(accounts: "AccountChanges") -> list[UserReport]:
        users = sorted(accounts.read().users.items())
        return [report_user(each, accounts.find_last_use(each)) for _, each in users]

    with_accounts(config, read, _draw_users, as_json=as_json)


def _draw_users(users: Sequence[UserReport]) -> Iterator[str | Table]:
    if not users:
        yield "no users; to add one: entrepot users add NAME"
        return
    table = make_table("user", "groups", "logs in by", "added", "last used")
    for user in users:
        how = "password" if user.has_password else "certificate"
        made, used = format_age(user.made), format_last_use(user.last_used)
        table.add_row(user.name, " ".join(user.groups) or "-", how, made, used)
    yield table
