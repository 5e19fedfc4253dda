"""Laws of who may see and change things."""

import pytest
from aiohttp.test_utils import make_mocked_request

from registry.access.credentials import Credentials
from registry.access.operators import Operator
from registry.console.visitors import COOKIE, Visitors
from registry.errors import CredentialsWrong


class Accounts:
    """Stands in for `Operators`: alice is an operator, bob is not."""

    def __init__(self) -> None:
        self.fingerprints = {"alice": "1", "bob": "1"}

    async def identify(self, credentials: Credentials, address: str | None) -> Operator:
        raise CredentialsWrong

    async def log_in(self, name: str, password: str, address: str | None) -> Operator:
        if password != "right":
            raise CredentialsWrong
        return Operator(name, self.fingerprints[name], is_allowed=name == "alice")

    def is_current(self, name: str, fingerprint: str) -> bool:
        return self.fingerprints.get(name) == fingerprint


class Peer:
    """The connection of a client."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self._address, 50_000) if name == "peername" else default


def ask(address: str = "127.0.0.1", cookie: str = "") -> object:
    headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
    return make_mocked_request("GET", "/", headers=headers, transport=Peer(address))


@pytest.mark.parametrize(("address", "expected"), [("127.0.0.1", True), ("10.0.0.5", False)])
async def test_without_accounts_only_this_machine_changes_things(
    address: str, expected: bool
) -> None:
    """Whoever reaches the console sees its pages."""
    visitor = await Visitors(None).find(ask(address))  # type: ignore[arg-type]

    assert visitor.is_admitted
    assert expected == visitor.may_change


async def test_a_changed_password_ends_the_session() -> None:
    """So does a lost group, and an account that was removed."""
    accounts = Accounts()
    visitors = Visitors(accounts)  # type: ignore[arg-type]
    operator = await visitors.log_in({"name": "alice", "password": "right"}, "127.0.0.1")
    cookie = visitors.begin(operator)

    assert (await visitors.find(ask(cookie=cookie))).name == "alice"  # type: ignore[arg-type]
    accounts.fingerprints["alice"] = "2"
    assert not (await visitors.find(ask(cookie=cookie))).is_admitted  # type: ignore[arg-type]
    accounts.fingerprints["alice"] = "1"
    assert not (await visitors.find(ask(cookie=cookie))).is_admitted  # type: ignore[arg-type]


async def test_nobody_is_admitted_without_a_login() -> None:
    """Also not from this machine, and not with a made-up cookie."""
    visitors = Visitors(Accounts())  # type: ignore[arg-type]

    for cookie in ("", "made-up"):
        visitor = await visitors.find(ask(cookie=cookie))  # type: ignore[arg-type]
        assert not visitor.is_admitted
        assert not visitor.may_change


async def test_who_may_only_read_gets_no_value_for_the_forms_of_this_machine() -> None:
    """They could let a browser of this machine send it."""
    visitors = Visitors(None)
    here = await visitors.find(ask("127.0.0.1"))  # type: ignore[arg-type]
    there = await visitors.find(ask("10.0.0.5"))  # type: ignore[arg-type]

    assert visitors.is_right(here, visitors.make_token(here))
    assert not visitors.is_right(here, visitors.make_token(there))


async def test_a_visit_that_goes_on_ends_with_the_login() -> None:
    """By a log-out, and by a changed password."""
    accounts = Accounts()
    visitors = Visitors(accounts)  # type: ignore[arg-type]
    operator = await visitors.log_in({"name": "alice", "password": "right"}, "127.0.0.1")
    first, second = [
        await visitors.find(ask(cookie=visitors.begin(operator)))  # type: ignore[arg-type]
        for _ in range(2)
    ]
    assert visitors.is_still_admitted(first)
    visitors.end(first)
    assert not visitors.is_still_admitted(first)
    assert visitors.is_still_admitted(second)
    accounts.fingerprints["alice"] = "2"
    assert not visitors.is_still_admitted(second)
    assert Visitors(None).is_still_admitted(await Visitors(None).find(ask()))  # type: ignore[arg-type]
