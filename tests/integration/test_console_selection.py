"""Several images at once: one page says what it frees together, and its form does it."""

import html
import json
import re

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import Answer, ConsoleBrowser, find_token
from tests.harness.mirror import MirrorProcess
from tests.integration.images import keep, make_layer

APP, TOOL = "docker.io/team/app", "docker.io/team/tool"
SHARED = make_layer(9)
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@pytest.fixture
def console(mirror: MirrorProcess, hub: FakeUpstream) -> ConsoleBrowser:
    """The console of a mirror with three images of two repositories, which share a layer."""
    for name, tag, seed in (("team/app", "1", 1), ("team/app", "2", 2), ("team/tool", "1", 3)):
        keep(mirror, hub.add_image(name, tag, [make_layer(seed), SHARED]))
    return ConsoleBrowser(mirror)


def select(console: ConsoleBrowser, verb: str, **selected: list[str]) -> Answer:
    """Send the form of the list with these boxes checked."""
    token = find_token(console.ask("/images").text)
    return console.ask("/selected", form={"token": token, "verb": verb, **selected})


def confirm(console: ConsoleBrowser, page: Answer) -> Answer:
    """Send the form of the page that says what will be done."""
    assert page.status == 200, page.text
    content = page.text[page.text.index('action="/selected/do"') :]
    fields: dict[str, list[str]] = {}
    for name, value in _HIDDEN.findall(content[: content.index("</form>")]):
        fields.setdefault(name, []).append(html.unescape(value))
    return console.ask("/selected/do", form=fields)


def list_names(console: ConsoleBrowser) -> list[str]:
    return [each["name"] for each in console.read("/images")["images"]]


def test_several_images_are_removed_after_one_question(console: ConsoleBrowser) -> None:
    """What the page says that they free together is what their removal has freed."""
    page = select(console, "remove", image=[f"{APP}:1", f"{APP}:2"])
    token = find_token(page.text)
    asked = {"token": token, "verb": "remove", "image": [f"{APP}:1", f"{APP}:2"]}
    as_program = console.ask("/selected", {"Accept": "application/json"}, form=asked)
    said = json.loads(as_program.text)
    used = console.read("/")["space"]["used"]
    assert [f"{APP}:1", f"{APP}:2"] == said["names"]
    assert said["frees"] == said["size"] - len(SHARED)

    done = confirm(console, page)

    assert done.status == 303
    assert f"freed={said['frees']}" in done.headers["location"]
    assert said["frees"] == used - console.read("/")["space"]["used"]
    assert [f"{TOOL}:1"] == list_names(console)


def test_a_whole_repository_is_selected_by_one_box(console: ConsoleBrowser) -> None:
    """The list by repository has a row for each; the other repository stays."""
    groups = console.read("/images?sort=group")["groups"]
    assert [(each["repository"], each["tags"]) for each in groups] == [(APP, 2), (TOOL, 1)]

    confirm(console, select(console, "remove", repository=[APP]))

    assert [f"{TOOL}:1"] == list_names(console)


def test_several_images_are_pinned_and_unpinned(
    console: ConsoleBrowser, mirror: MirrorProcess
) -> None:
    """The command line sees the pins."""
    done = confirm(console, select(console, "pin", repository=[APP], image=[f"{TOOL}:1"]))
    assert "done=done.all_pin" in done.headers["location"]
    listed = json.loads(mirror.run("images", "ls", "--json").stdout)
    assert [f"{APP}:1", f"{APP}:2", f"{TOOL}:1"] == sorted(
        name for each in listed for name in each["pins"]
    )

    confirm(console, select(console, "unpin", repository=[APP]))
    pinned = console.read("/images?pinned=1")["images"]
    assert [f"{TOOL}:1"] == [each["name"] for each in pinned]


def test_pinned_images_stay(console: ConsoleBrowser) -> None:
    """The page names them before, and the others are removed."""
    console.act("pin", f"{APP}:1")
    page = select(console, "remove", repository=[APP])
    assert "1 of them stays, because a pin keeps it:" in page.text

    confirm(console, page)
    assert [f"{APP}:1", f"{TOOL}:1"] == list_names(console)


def test_what_was_not_shown_is_not_removed(
    console: ConsoleBrowser, mirror: MirrorProcess, hub: FakeUpstream
) -> None:
    """If a repository has got another image meanwhile, the page is shown again."""
    page = select(console, "remove", repository=[APP])
    keep(mirror, hub.add_image("team/app", "3", [make_layer(4)]))
    again = confirm(console, page)

    assert again.status == 200
    assert "what was selected has changed meanwhile" in again.text
    assert len(list_names(console)) == 4
    assert confirm(console, again).status == 303
    assert [f"{TOOL}:1"] == list_names(console)


def test_asking_changes_nothing(console: ConsoleBrowser) -> None:
    """The first form only shows a page; an empty selection leads back to the list."""
    before = console.read("/images")
    assert select(console, "remove", repository=[APP, TOOL]).status == 200
    nothing = select(console, "remove")
    assert nothing.headers["location"] == "/images?done=done.nothing"
    assert select(console, "destroy", image=[f"{APP}:1"]).status == 400

    assert before == console.read("/images")


@pytest.mark.parametrize("path", ["/selected", "/selected/do"])
def test_a_selection_needs_the_form_of_the_console(console: ConsoleBrowser, path: str) -> None:
    """Neither another site nor a made-up value gets anything."""
    token = find_token(console.ask("/images").text)
    form = {"token": token, "verb": "remove", "image": [f"{APP}:1"]}
    assert console.ask(path, {"Sec-Fetch-Site": "cross-site"}, form=form).status == 403
    assert console.ask(path, form={**form, "token": "0" * 64}).status == 403

    assert len(list_names(console)) == 3


def test_after_it_the_list_shows_what_it_has_shown(console: ConsoleBrowser) -> None:
    """The filter and the order stay, and nothing else of an address is taken over."""
    token = find_token(console.ask("/images").text)
    back = "q=app&sort=size&done=%2F%2Fevil.example"
    form = {"token": token, "verb": "pin", "image": [f"{APP}:1"], "back": back}
    done = confirm(console, console.ask("/selected", form=form))

    expected = "/images?q=app&sort=size&done=done.all_pin&freed=0&n=1"
    assert expected == done.headers["location"]
