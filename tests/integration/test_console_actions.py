"""What people change in the console, and who cannot."""

import json

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import Answer, ConsoleBrowser, find_token, path_of
from tests.harness.mirror import MirrorProcess
from tests.integration.images import keep, make_layer
from tests.integration.wire import wait_until

NAME = "docker.io/team/app:1"


@pytest.fixture
def console(mirror: MirrorProcess, hub: FakeUpstream) -> ConsoleBrowser:
    """The console of a mirror that has the image `NAME`."""
    keep(mirror, hub.add_image("team/app", "1", [make_layer(1)]))
    return ConsoleBrowser(mirror)


def test_looking_changes_nothing(console: ConsoleBrowser) -> None:
    """The page of each action says what it will do, and does not do it."""
    before = console.read(path_of(NAME))
    for verb in ("pin", "unpin", "remove", "fetch", "release"):
        assert console.ask(f"/actions/{verb}?name={NAME}").status == 200, verb
    after = console.read(path_of(NAME))

    assert before == after


def test_an_image_is_pinned_and_unpinned(console: ConsoleBrowser, mirror: MirrorProcess) -> None:
    """The command line sees the pin that the console has made, and the page says who keeps it."""
    done = console.act("pin", NAME)
    assert (303, f"{path_of(NAME)}&done=done.pin") == (done.status, done.headers["location"])
    assert json.loads(mirror.run("images", "ls", "--json").stdout)[0]["pins"] == [NAME]
    assert console.read(path_of(NAME))["kept_by"] == NAME
    assert [each["name"] for each in console.read("/images?pinned=1")["images"]] == [NAME]

    console.act("unpin", NAME)
    assert console.read(path_of(NAME))["kept_by"] == ""


def test_a_pinned_image_is_not_removed(console: ConsoleBrowser) -> None:
    """Another form than that of the page is refused with the name of the pin."""
    token = find_token(console.ask(f"/actions/remove?name={NAME}").text)
    console.act("pin", NAME)
    answer = console.ask("/actions/remove", form={"token": token, "name": NAME})

    assert answer.status >= 400
    assert "pin" in answer.text
    assert console.read(path_of(NAME))["image"]["state"] == "complete"


def test_a_removal_frees_what_it_has_said(console: ConsoleBrowser) -> None:
    """The bytes on the page before are those that the removal has freed."""
    said = console.read(path_of(NAME))["frees"]
    used = console.read("/")["space"]["used"]
    done = console.act("remove", NAME)

    assert done.headers["location"] == f"/images?done=done.remove&freed={said}"
    assert said == used - console.read("/")["space"]["used"] > 0
    assert console.ask(path_of(NAME)).status == 404


def test_an_image_is_downloaded_before_anybody_pulls_it(
    console: ConsoleBrowser, hub: FakeUpstream
) -> None:
    """The download goes on behind the page; the events say that it is done."""
    hub.add_image("team/new", "2", [make_layer(3)])
    name = "docker.io/team/new:2"
    done = console.act("fetch", name)
    assert done.headers["location"] == f"{path_of(name)}&done=done.fetch"

    def is_done() -> bool:
        events = console.read("/events")["events"]
        return any(each["event"] == "image downloaded" for each in events)

    wait_until(is_done, "the event")
    assert console.read(path_of(name))["image"]["state"] == "complete"


def test_a_download_that_fails_is_told_as_an_event(console: ConsoleBrowser) -> None:
    """The page has said that it began; the events say why it ended."""
    console.act("fetch", "docker.io/team/absent:1")

    def find_reasons() -> list[str]:
        events = console.read("/events?level=warning")["events"]
        return [each["facts"]["why"] for each in events if each["event"] == "image not downloaded"]

    wait_until(find_reasons, "the event")
    assert "team/absent" in find_reasons()[0]


def test_a_tag_is_rolled_back_and_released(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """The tag serves its former image until it is released."""
    mirror = make_mirror({"tags": {"fresh_for": "0s"}}, workers=1)
    console = ConsoleBrowser(mirror)
    former = hub.add_image("team/app", "1", [make_layer(1)])
    keep(mirror, former)
    newer = hub.add_image("team/app", "1", [make_layer(2)])
    keep(mirror, newer)

    page = console.ask(f"/actions/rollback?name={NAME}&digest={former.digest}").text
    assert "The image that it then serves is stored:" in page
    console.act("rollback", NAME, digest=former.digest)
    history = console.read(path_of(NAME))["history"]
    assert former.digest == history["serves"]
    assert history["rolled_back"] > 0

    assert "Nothing is downloaded." in console.ask(f"/actions/release?name={NAME}").text
    console.act("release", NAME)
    assert console.read(path_of(NAME))["history"]["rolled_back"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ],
)
def test_other_sites_cannot_send_forms(console: ConsoleBrowser, headers: dict[str, str]) -> None:
    """A form from another site is refused, also with the right value in it."""
    token = find_token(console.ask(f"/actions/pin?name={NAME}").text)
    answer = console.ask("/actions/pin", headers, form={"token": token, "name": NAME})

    assert answer.status == 403
    assert console.read(path_of(NAME))["kept_by"] == ""


@pytest.mark.parametrize("token", ["", "0" * 64, "ä"])
def test_a_form_needs_the_value_of_its_page(console: ConsoleBrowser, token: str) -> None:
    """Who cannot read our pages cannot send our forms."""
    answer = console.ask("/actions/pin", form={"token": token, "name": NAME})

    assert answer.status == 403
    assert console.read(path_of(NAME))["kept_by"] == ""


def test_with_accounts_everybody_has_to_log_in(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Only users of the group admin see pages, until they log out; probes stay open."""
    rules = {"mode": "users", "rules": [{"who": ["*"], "allow": ["*"]}]}
    mirror = make_mirror({"access": rules}, workers=1)
    console = ConsoleBrowser(mirror)
    for name, group in (("alice", "admin"), ("bob", "dev")):
        options = ("--group", group, "--password-stdin")
        mirror.run("users", "add", name, *options, stdin="correct horse battery")

    assert console.ask("/").headers["location"] == "/login"
    assert console.ask("/images", {"Accept": "application/json"}).status == 401
    assert console.ask("/livez").status == 200
    assert log_in(console, "alice", "wrong").status == 403
    refused = log_in(console, "bob", "correct horse battery")
    assert refused.status == 403
    assert "not in the group admin" in refused.text
    wait_until(lambda: log_in(console, "alice", "correct horse battery").status == 303, "the login")
    page = console.ask("/images")
    assert page.status == 200
    console.ask("/logout", form={"token": find_token(page.text)})
    assert console.ask("/images").headers["location"] == "/login"


def log_in(console: ConsoleBrowser, name: str, password: str) -> Answer:
    return console.ask("/login", form={"name": name, "password": password})
