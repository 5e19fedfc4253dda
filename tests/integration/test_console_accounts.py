"""Users and tokens in the console: as the commands do it, and only for who may."""

import base64
import json
import re

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import ConsoleBrowser, find_token
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import USER_PASSWORD
from tests.integration.images import make_layer
from tests.integration.wire import fetch, wait_until

PASSWORD, OTHER = USER_PASSWORD, f"{USER_PASSWORD}-renewed"
RULES = {"mode": "users", "rules": [{"who": ["*"], "allow": ["*"]}]}
_TOKEN = re.compile(r"ent_[a-z2-7]{8}_[a-z2-7]{32}")


@pytest.fixture
def mirror(make_mirror: MirrorMaker, hub: FakeUpstream) -> MirrorProcess:
    """A mirror in mode `users`, with an operator and another user."""
    hub.add_image("team/app", "1", [make_layer(1)])
    made = make_mirror({"access": RULES}, workers=1)
    for name, group in (("alice", "admin"), ("bob", "dev")):
        made.run(*("users", "add", name, "--group", group, "--password-stdin"), stdin=PASSWORD)
    return made


@pytest.fixture
def console(mirror: MirrorProcess) -> ConsoleBrowser:
    """The console, in which alice is logged in."""
    opened = ConsoleBrowser(mirror)
    wait_until(lambda: log_in(opened, "alice") == 303, "the login")
    return opened


def log_in(console: ConsoleBrowser, name: str, password: str = PASSWORD) -> int:
    return console.ask("/login", form={"name": name, "password": password}).status


def change(console: ConsoleBrowser, path: str, **fields: str) -> str:
    """Send the form of a page; return the path of the next page."""
    name = f"?name={fields['name']}" if "add" not in path else ""
    page = console.ask(f"{path}{name}")
    assert page.status == 200, page.text
    answer = console.ask(path, form={"token": find_token(page.text), **fields})
    assert answer.status == 303, answer.text
    return answer.headers["location"]


def basic(name: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def may_pull(mirror: MirrorProcess, name: str, password: str) -> bool:
    url = f"{mirror.url}/v2/team/app/manifests/1"
    return fetch(url, basic(name, password)).status == 200


def test_a_user_is_added_changed_and_removed(
    console: ConsoleBrowser, mirror: MirrorProcess
) -> None:
    """Each change counts within a second, and the command line sees it."""
    added = {"name": "carol", "groups": "dev, build", "password": PASSWORD, "repeated": PASSWORD}
    assert change(console, "/users/add", **added) == "/users?done=done.user_add"
    listed = {each["name"]: each for each in json.loads(mirror.run("users", "ls", "--json").stdout)}
    assert listed["carol"]["groups"] == ["build", "dev"]
    wait_until(lambda: may_pull(mirror, "carol", PASSWORD), "the user", 2.0)

    renewed = {"name": "carol", "password": OTHER, "repeated": OTHER}
    change(console, "/users/password", **renewed)
    wait_until(lambda: may_pull(mirror, "carol", OTHER), "the new password", 2.0)
    assert not may_pull(mirror, "carol", PASSWORD)

    change(console, "/users/remove", name="carol")
    wait_until(lambda: not may_pull(mirror, "carol", OTHER), "the removal", 2.0)
    assert [each["name"] for each in console.read("/users")["users"]] == ["alice", "bob"]


def test_a_token_is_shown_once(console: ConsoleBrowser, mirror: MirrorProcess) -> None:
    """Only the answer to the form has it: no address, no other page, no file and no log."""
    page = console.ask("/tokens/add")
    form = {"token": find_token(page.text), "name": "ci", "groups": "build", "life": "90d"}
    answer = console.ask("/tokens/add", form=form)
    assert answer.status == 200
    assert "location" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    found = _TOKEN.search(answer.text)
    assert found is not None
    token = found[0]
    wait_until(lambda: may_pull(mirror, "ci", token), "the token", 2.0)

    assert [each["name"] for each in console.read("/users")["tokens"]] == ["ci"]
    secret = token.rpartition("_")[2]
    for path in ("/users", "/events", "/tokens/remove?name=ci"):
        assert secret not in console.ask(path).text
    assert secret not in mirror.log()
    repeated = console.ask("/tokens/add", form=form)
    assert repeated.status == 400
    assert "choose another name" in repeated.text

    change(console, "/tokens/remove", name="ci")
    wait_until(lambda: not may_pull(mirror, "ci", token), "the removal", 2.0)


def test_looking_at_a_change_does_nothing(console: ConsoleBrowser) -> None:
    """A GET of the page, also with all fields in its address, changes nothing."""
    before = console.read("/users")
    for path in (
        "/users/add?name=carol&password=correct-horse&repeated=correct-horse",
        "/users/password?name=bob",
        "/users/remove?name=bob",
        "/tokens/add?name=ci",
    ):
        assert console.ask(path).status == 200, path

    assert before == console.read("/users")
    assert console.ask("/users/remove?name=nobody").status == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"password": PASSWORD, "repeated": OTHER}, "the two passwords differ"),
        ({"password": "short", "repeated": "short"}, "fewer than 8 characters"),
        ({"name": "Carol", "password": PASSWORD, "repeated": PASSWORD}, "cannot be a name"),
        ({"name": "bob", "password": PASSWORD, "repeated": PASSWORD}, "choose another name"),
    ],
)
def test_a_form_that_cannot_be_used_is_shown_again(
    console: ConsoleBrowser, fields: dict[str, str], said: str
) -> None:
    """With what was wrong and what was typed, but for the passwords."""
    page = console.ask("/users/add")
    form = {"token": find_token(page.text), "name": "carol", "groups": "dev", **fields}
    answer = console.ask("/users/add", form=form)

    assert answer.status == 400
    assert said in answer.text
    assert f'name="name" value="{form["name"]}"' in answer.text
    assert form["password"] not in answer.text
    assert [each["name"] for each in console.read("/users")["users"]] == ["alice", "bob"]


def test_an_ordinary_user_manages_nothing(console: ConsoleBrowser, mirror: MirrorProcess) -> None:
    """Bob has no session; and with his password in a header, or the session's form, he gets 401."""
    page = console.ask("/users/add")
    form = {"token": find_token(page.text), "name": "eve", "password": PASSWORD}
    form["repeated"] = PASSWORD
    other = ConsoleBrowser(mirror)
    assert log_in(other, "bob") == 403
    for headers in ({}, basic("bob", PASSWORD)):
        assert other.ask("/users", headers).headers["location"] == "/login"
        assert other.ask("/users/add", headers, form=form).headers["location"] == "/login"
        as_program = {**headers, "Accept": "application/json"}
        assert other.ask("/users", as_program).status == 401
    as_alice = basic("alice", PASSWORD)
    assert other.ask("/users", as_alice).status == 200
    assert other.ask("/users/add", as_alice, form=form).status == 403

    assert [each["name"] for each in console.read("/users")["users"]] == ["alice", "bob"]


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {}])
def test_other_sites_change_no_account(console: ConsoleBrowser, headers: dict[str, str]) -> None:
    """A form needs the value of its page, and must not be from another site."""
    token = find_token(console.ask("/users/remove?name=bob").text)
    form = {"name": "bob", "token": token if headers else "0" * 64}

    assert console.ask("/users/remove", headers, form=form).status == 403
    assert [each["name"] for each in console.read("/users")["users"]] == ["alice", "bob"]


def test_the_last_operator_is_told(console: ConsoleBrowser, mirror: MirrorProcess) -> None:
    """The page says that nobody can open the console then; who does it is logged out."""
    page = console.ask("/users/remove?name=alice").text
    assert "Nobody else is in the group admin." in page
    assert "This is your own account" in page
    assert "Nobody else" not in console.ask("/users/remove?name=bob").text

    change(console, "/users/remove", name="alice")
    wait_until(lambda: console.ask("/users").status == 303, "the end of the session", 2.0)


def test_a_login_is_a_use(console: ConsoleBrowser) -> None:
    """Who is logged in has used the account, and is not listed as never seen."""
    used = {each["name"]: each["last_used"] for each in console.read("/users")["users"]}

    assert used["bob"] is None
    assert used["alice"] is not None
    assert "within the hour" in console.ask("/users").text


def test_the_log_says_who_has_changed_what(console: ConsoleBrowser) -> None:
    """The events name the operator and the account, and no password."""
    form = {"name": "carol", "groups": "", "password": PASSWORD, "repeated": PASSWORD}
    change(console, "/users/add", **form)

    events = console.read("/events")["events"]
    (event,) = [each for each in events if each["event"] == "user added"]
    assert (event["facts"]["name"], event["facts"]["by"]) == ("carol", "alice")
    assert PASSWORD not in json.dumps(events)


def test_without_accounts_there_is_no_such_page(make_mirror: MirrorMaker) -> None:
    """In an open mirror nobody logs in, and the pages do not lead there."""
    console = ConsoleBrowser(make_mirror(workers=1))

    assert console.ask("/users").status == 404
    assert 'href="/users"' not in console.ask("/").text
