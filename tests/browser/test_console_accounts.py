"""Users and tokens in the console, as an operator manages them with a browser."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Watched
from tests.conftest import MirrorMaker
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import USER_PASSWORD

PAGES = ("/users", "/users/add", "/users/password?name=alice", "/users/remove?name=alice")
RULES = {"mode": "users", "rules": [{"who": ["*"], "allow": ["*"]}]}


@pytest.fixture
def mirror(make_mirror: MirrorMaker) -> MirrorProcess:
    """A mirror in mode `users`, with one operator."""
    made = make_mirror({"access": RULES}, workers=1)
    made.run("users", "add", "alice", "--group", "admin", "--password-stdin", stdin=USER_PASSWORD)
    return made


def log_in(mirror: MirrorProcess, watched: Watched) -> Page:
    """Log in as the operator, by the page that asks for it."""
    page = watched.page
    expect(page).to_have_url(f"{mirror.console}/login")
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill(USER_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Users")).to_be_visible()
    return page


@pytest.mark.parametrize("has_script", [True, False])
def test_accounts_are_managed(mirror: MirrorProcess, open_page: OpenPage, has_script: bool) -> None:
    """A user and a token are made and removed; the token is on one page, and in no address."""
    watched = open_page(f"{mirror.console}/", java_script_enabled=has_script)
    page = log_in(mirror, watched)
    page.get_by_role("link", name="Users").click()
    page.get_by_role("link", name="Add a user").click()
    page.get_by_label("Name").fill("carol")
    page.get_by_label("Groups").fill("dev build")
    page.get_by_label("Password", exact=True).fill(USER_PASSWORD)
    page.get_by_label("The password again").fill(USER_PASSWORD)
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_text("The user was added.")).to_be_visible()

    page.get_by_role("link", name="Make a token").click()
    page.get_by_label("Name").fill("ci")
    page.get_by_role("button", name="Make the token").click()
    token = page.locator("pre").first.inner_text()
    assert re.fullmatch(r"ent_[a-z2-7]{8}_[a-z2-7]{32}", token.strip())
    assert "ent_" not in page.url
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text(token)).to_have_count(0)

    page.get_by_role("link", name="Remove carol").click()
    expect(page.get_by_text("Within a second, the user can pull nothing more")).to_be_visible()
    page.get_by_role("button", name="Remove the user").click()
    expect(page.get_by_text("The user was removed.")).to_be_visible()
    expect(page.get_by_role("rowheader", name="carol")).to_have_count(0)
    assert watched.problems == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_no_page_of_accounts_has_a_fault(
    mirror: MirrorProcess, open_page: OpenPage, width: int, scheme: str
) -> None:
    """Nothing that axe calls serious, and nothing to be scrolled to the side."""
    size = {"width": width, "height": 800}
    watched = open_page(f"{mirror.console}/", viewport=size, color_scheme=scheme)
    page = log_in(mirror, watched)
    for path in (*PAGES, "/tokens/add"):
        page.goto(mirror.console + path)
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert watched.problems == []
