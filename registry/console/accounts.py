"""The pages of users and tokens: as the commands `users` and `tokens`, for people who logged in.

As everywhere in the console, GET shows what a change will do, and a POST with that form does it.
"""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from aiohttp import web

from registry.access.operators import GROUP
from registry.console.forms import Form
from registry.console.page import Page
from registry.errors import AccountExists, AccountUnknown, InvalidInput
from registry.reports.accounts import (
    AccountList,
    NewToken,
    TokenReport,
    UserReport,
    report_token,
    report_user,
)
from registry.settings.values import Refusal, parse_duration

if TYPE_CHECKING:
    from registry.access.operator_accounts import OperatorAccounts

LIST = "/users"
# What the changes are called in texts, by their paths.
CHANGES: Mapping[str, str] = MappingProxyType(
    {
        "/users/add": "user_add",
        "/users/password": "user_password",
        "/users/remove": "user_remove",
        "/tokens/add": "token_add",
        "/tokens/remove": "token_remove",
    }
)
_LONGEST = 1000  # characters of a name, or of a list of groups
_BETWEEN = re.compile(r"[\s,]+")  # between two groups
_STATUS = 400  # of a page whose form has something that cannot be used


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What a page offers to change; `name` is empty for a new account.

    After the removal of the last operator (`is_last_operator`), nobody can open the console.
    """

    change: str
    name: str
    groups: tuple[str, ...]
    is_last_operator: bool


class AccountPages:
    """Makes the pages of accounts, and carries out what their forms ask for."""

    def __init__(self, accounts: "OperatorAccounts", *, has_rules: bool) -> None:
        self._accounts = accounts
        self._has_rules = has_rules

    async def read(self, request: web.Request) -> Page:
        """Return the page of a path: the list, or what a change will do.

        Raises:
            AccountUnknown: there is no account of the name in the query.
            StoreError: the accounts cannot be read.
        """
        listed = await self._list()
        if request.path == LIST:
            return Page("users", listed, LIST, {"done": request.query.get("done", "")})
        name = request.query.get("name", "")[:_LONGEST]
        return _ask(_describe(request.path, name, listed))

    async def _list(self) -> AccountList:
        now = time.time()
        users = [report_user(*each) for each in await self._accounts.list_users()]
        found = await self._accounts.list_tokens()
        tokens = [report_token(token, now, used) for token, used in found]
        return AccountList(users, tokens, self._has_rules)

    async def change(self, path: str, form: Form, by: str) -> Page | str:
        """Change what a form says for the operator `by`; return a page, or the path of the next.

        Only a new token has a page of its own: no address leads to it.

        Raises:
            AccountUnknown: there is no account of the name in the form.
            StoreError: the accounts cannot be read or written.
        """
        try:
            return await self._carry_out(path, form, by)
        except (InvalidInput, AccountExists) as error:
            name = form.get("name")[:_LONGEST]
            groups = tuple(_read_groups(form))
            asked = AccountChange(CHANGES[path], name, groups, is_last_operator=False)
            return _ask(asked, str(error), form.get("life")[:_LONGEST], status=_STATUS)

    async def _carry_out(self, path: str, form: Form, by: str) -> Page | str:
        accounts, name = self._accounts, form.get("name")[:_LONGEST]
        match CHANGES[path]:
            case "user_add":
                password = None if form.get("no_password") else _read_password(form)
                await accounts.add_user(by, name, password, _read_groups(form))
            case "user_password":
                await accounts.set_password(by, name, _read_password(form))
            case "user_remove":
                await accounts.remove_user(by, name)
            case "token_add":
                life = _read_life(form.get("life"))
                token, text = await accounts.add_token(by, name, _read_groups(form), life)
                groups = tuple(sorted(token.groups))
                return Page("new_token", NewToken(token.name, text, groups, token.expires), LIST)
            case "token_remove":
                await accounts.remove_token(by, name)
        return f"{LIST}?done=done.{CHANGES[path]}"


def _ask(asked: AccountChange, failure: str = "", life: str = "", status: int = 200) -> Page:
    return Page("account", asked, LIST, {"failure": failure, "life": life}, status)


def _describe(path: str, name: str, listed: AccountList) -> AccountChange:
    """Return what the page of a change says. Pure.

    Raises:
        AccountUnknown: there is no account of this name.
    """
    change = CHANGES[path]
    if change.endswith("_add"):
        return AccountChange(change, "", (), is_last_operator=False)
    of_user = change.startswith("user")
    known: Mapping[str, UserReport | TokenReport] = {
        each.name: each for each in (listed.users if of_user else listed.tokens)
    }
    if name not in known:
        raise AccountUnknown("user" if of_user else "token", name, sorted(known))
    groups = known[name].groups
    is_last = change.endswith("_remove") and _list_operators(listed) == {name}
    return AccountChange(change, name, groups, is_last)


def _list_operators(listed: AccountList) -> set[str]:
    """Return the names of those who can log in to the console."""
    users = {each.name for each in listed.users if GROUP in each.groups and each.has_password}
    tokens = {each.name for each in listed.tokens if GROUP in each.groups and not each.has_expired}
    return users | tokens


def _read_groups(form: Form) -> list[str]:
    return [each for each in _BETWEEN.split(form.get("groups")[:_LONGEST]) if each]


def _read_password(form: Form) -> str:
    """Return the password that was typed twice.

    Raises:
        InvalidInput: the two differ.
    """
    password = form.get("password")
    if password != form.get("repeated"):
        raise InvalidInput("the two passwords differ")
    return password


def _read_life(text: str) -> float:
    """Return for how many seconds a token can be used; without a text, it does not end.

    Raises:
        InvalidInput: it is no time.
    """
    if not text.strip():
        return math.inf
    try:
        life = parse_duration(text)
    except Refusal as refusal:
        raise InvalidInput(str(refusal)) from refusal
    if life <= 0:
        raise InvalidInput('write a time such as "90d"')
    return life
