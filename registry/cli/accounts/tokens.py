"""`entrepot tokens`: secrets for machines, and for dockerd, which cannot log in to a mirror."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.accounts.session import Groups, format_last_use, with_accounts
from registry.cli.messages import MISUSED, fail
from registry.cli.session import Config, Json
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_age, format_moment
from registry.reports.accounts import NewToken, TokenReport, report_token
from registry.reports.lines import Verbatim
from registry.settings.values import Refusal, parse_duration

if TYPE_CHECKING:
    from registry.access.account_changes import AccountChanges

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the token.")]
_Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="TIME", help="How long it can be used, such as 90d."),
]


_PORT = 5000  # of server.listen, if it was not changed


def build_tokens_app() -> typer.Typer:
    """Return the sub-command `tokens`."""
    app = typer.Typer(
        help='Add, remove and list tokens, for access.mode = "users".', no_args_is_help=True
    )
    app.command("add")(add_token)
    app.command("rm")(remove_token)
    app.command("ls")(list_tokens)
    return app


def add_token(
    name: _Name,
    groups: Groups = None,
    expires: _Expires = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a token and show it. It is not stored, so it cannot be shown again.

    Example: entrepot tokens add ci --group build --expires 90d
    """

    async def add(accounts: "AccountChanges") -> NewToken:
        token, text = await accounts.add_token(name, groups or (), _read_life(expires))
        return NewToken(token.name, text, tuple(sorted(token.groups)), token.expires)

    with_accounts(config, add, _draw_new, as_json=as_json, adds=True)


def _read_life(text: str | None) -> float:
    """Return for how many seconds a token can be used."""
    if text is None:
        return math.inf
    try:
        life = parse_duration(text)
    except Refusal as refusal:
        fail(f"--expires: {refusal}", MISUSED)
    if life <= 0:
        fail("--expires: write a time such as 90d", MISUSED)
    return life


def _draw_new(token: NewToken) -> Iterator[str]:
    yield f"made the token {token.name}; it is shown only now:"
    yield Verbatim(f"  {token.token}")
    yield "in registry-mirrors of dockerd 24 and newer; without TLS it begins with http:"
    yield Verbatim(f"  https://MIRROR:{_PORT}/t/{token.token}/")
    yield (
        f"with podman, skopeo or docker: log in as {token.name}, with the token as password, at a"
        " name in access.login_hosts"
    )
    yield f"MIRROR:{_PORT} is the address by which clients reach the mirror"


def remove_token(name: _Name, config: Config = None, as_json: Json = False) -> None:
    """Remove a token, with which nothing can be pulled any more within a second.

    Example: entrepot tokens rm ci
    """

    async def remove(accounts: "AccountChanges") -> TokenReport:
        return report_token(await accounts.remove_token(name), time.time())

    with_accounts(config, remove, _draw_removed, as_json=as_json)


def _draw_removed(token: TokenReport) -> Iterator[str]:
    yield f"removed the token {token.name}"


def list_tokens(config: Config = None, as_json: Json = False) -> None:
    """List the tokens, with their groups, ends, and last uses.

    Example: entrepot tokens ls
    """

    async def read(accounts: "AccountChanges") -> list[TokenReport]:
        tokens = accounts.read().tokens.values()
        by_name = sorted(tokens, key=lambda token: token.name)
        now = time.time()
        return [report_token(each, now, accounts.find_last_use(each)) for each in by_name]

    with_accounts(config, read, _draw_tokens, as_json=as_json)


def _draw_tokens(tokens: Sequence[TokenReport]) -> Iterator[str | Table]:
    if not tokens:
        yield "no tokens; to add one: entrepot tokens add NAME"
        return
    table = make_table("token", "groups", "added", "last used", "expires")
    for token in tokens:
        groups = " ".join(token.groups) or "-"
        used = format_last_use(token.last_used)
        table.add_row(token.name, groups, format_age(token.made), used, _format_end(token))
    yield table


def _format_end(token: TokenReport) -> str:
    if token.has_expired:
        return f"expired {format_age(token.expires)}"
    return "never" if math.isinf(token.expires) else format_moment(token.expires)
