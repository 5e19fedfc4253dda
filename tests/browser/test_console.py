"""The console as a person uses it: with a mouse, a keyboard, a phone, a reader, or no script."""

import threading
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import path_of
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess
from tests.integration.images import keep, make_layer
from tests.integration.wire import fetch

MIB = 1 << 20
NAME = "docker.io/team/app:1"
PAGES = (
    *("/", "/images", path_of(NAME), "/upstreams", "/clients", "/setup", "/events"),
    *(f"/actions/remove?name={NAME}", f"/actions/fetch?name={NAME}"),
    *("/images?sort=group", "/images?in=docker.io/team/app"),
)


@pytest.fixture
def mirror(make_mirror: MirrorMaker, hub: FakeUpstream) -> MirrorProcess:
    """A mirror with two images; it has asked in vain for a third one, by a name like markup."""
    made = make_mirror({"tags": {"fresh_for": "0s"}}, workers=1)
    keep(made, hub.add_image("team/app", "1", [make_layer(1)]))
    keep(made, hub.add_image("team/app", "1", [make_layer(2)]))
    keep(made, hub.add_image("library/redis", "7", [make_layer(3)]))
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_fault(mirror: MirrorProcess, open_page: OpenPage, scheme: str) -> None:
    """No error, no request to another host, and nothing that axe calls serious."""
    for locale in ("en-US", "zh-CN"):
        watched = open_page(f"{mirror.console}/", color_scheme=scheme, locale=locale)
        for path in PAGES:
            watched.page.goto(mirror.console + path)
            found = Axe().run(watched.page).response["violations"]
            serious = [
                (path, each["id"], each["nodes"][0]["html"])
                for each in found
                if each["impact"] in ("serious", "critical")
            ]
            assert serious == []
        assert watched.problems == []
        assert watched.hosts == {urlsplit(mirror.console).netloc}


@pytest.mark.parametrize(("width", "zoom"), [(360, 1), (1280, 2), (2560, 1)])
def test_no_page_is_too_wide(
    mirror: MirrorProcess, open_page: OpenPage, width: int, zoom: int
) -> None:
    """On a phone, with twice the size, and on a wide screen, nobody scrolls to the side."""
    size = {"width": width // zoom, "height": 800}
    watched = open_page(f"{mirror.console}/", viewport=size, device_scale_factor=zoom)
    for path in PAGES:
        watched.page.goto(mirror.console + path)
        found = watched.page.evaluate("document.documentElement.scrollWidth")
        assert found <= width // zoom, path


def test_a_download_moves(mirror: MirrorProcess, hub: FakeUpstream, open_page: OpenPage) -> None:
    """While a client pulls, its bar and speed appear, and grow without a reload."""
    digest = hub.add_big_blob(12 * MIB, repository="team/large")
    watched = open_page(f"{mirror.console}/")
    page = watched.page
    expect(page.get_by_text("Nothing is being downloaded.")).to_be_visible()
    hub.rate = 2 * MIB
    url = f"{mirror.url}/v2/team/large/blobs/{digest}"
    pulling = threading.Thread(target=fetch, args=(url,), daemon=True)
    pulling.start()
    bar = page.locator("[data-live=downloads] progress")
    expect(bar).to_be_visible(timeout=10_000)
    expect(page.locator("[data-live=downloads]")).to_contain_text("/s")
    first = float(bar.get_attribute("value") or 0)
    await_truth(lambda: float(bar.get_attribute("value") or 0) > first)
    pulling.join(30)
    expect(page.get_by_text("Nothing is being downloaded.")).to_be_visible(timeout=15_000)
    assert watched.problems == []


def test_typing_filters(mirror: MirrorProcess, open_page: OpenPage) -> None:
    """Each letter narrows the list, the address says what is shown, and a reload shows the same."""
    page = open_page(f"{mirror.console}/images").page
    expect(page.locator("#results tbody tr")).to_have_count(3)  # the former image, by its digest
    page.get_by_label("Name contains").fill("redis")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    assert "q=redis" in page.url
    page.reload()
    expect(page.locator("#results tbody tr")).to_have_count(1)
    page.get_by_label("Name contains").fill("absent")
    expect(page.get_by_text("No image matches.")).to_be_visible()


@pytest.mark.parametrize("has_script", [True, False])
def test_actions_ask_first_and_then_do(
    mirror: MirrorProcess, open_page: OpenPage, has_script: bool
) -> None:
    """Pin, roll back, release, unpin and remove: each says what it will do; no script is needed."""
    watched = open_page(mirror.console + path_of(NAME), java_script_enabled=has_script)
    page = watched.page
    page.get_by_role("link", name="Pin", exact=True).click()
    expect(page.get_by_text("Nothing deletes this image until it is unpinned.")).to_be_visible()
    page.get_by_role("button", name="Pin").click()
    expect(page.get_by_text("The image is pinned.")).to_be_visible()
    expect(page.get_by_role("link", name="Remove", exact=True)).to_have_count(0)

    page.get_by_role("link", name="Roll back to this").click()
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("The tag was rolled back.")).to_be_visible()
    page.get_by_role("link", name="Release").first.click()
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_text("It was released.")).to_be_visible()

    page.get_by_role("link", name="Unpin").click()
    page.get_by_role("button", name="Unpin").click()
    page.get_by_role("link", name="Remove", exact=True).click()
    expect(page.get_by_text("This removes the name, and frees")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove the image").click()
    expect(page.get_by_text("The image was removed; this freed")).to_be_visible()
    expect(page.get_by_role("link", name=NAME)).to_have_count(0)
    assert watched.problems == []


@pytest.mark.parametrize("has_script", [True, False])
def test_several_images_ask_once(
    mirror: MirrorProcess, open_page: OpenPage, has_script: bool
) -> None:
    """Boxes, one page that says what is freed together, and back to the list; no script needed."""
    page = open_page(f"{mirror.console}/images", java_script_enabled=has_script).page
    everything = page.get_by_label("Select all on this page")
    if has_script:
        everything.check()
        expect(page.locator("tbody .box input:checked")).to_have_count(3)
        everything.uncheck()
    else:
        expect(everything).to_be_hidden()
    page.get_by_label("Order").select_option("by repository")
    page.get_by_role("button", name="Show").click()
    page.get_by_label("Select docker.io/team/app", exact=True).check()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="Remove 2 images")).to_be_visible()
    expect(page.get_by_text("This removes their names, and frees")).to_be_visible()
    page.get_by_role("button", name="Remove them").click()
    expect(page.get_by_text("The selected images were removed")).to_be_visible()
    expect(page.get_by_role("link", name="docker.io/team/app")).to_have_count(0)
    expect(page.get_by_role("link", name="docker.io/library/redis")).to_be_visible()


def test_a_keyboard_is_enough(mirror: MirrorProcess, open_page: OpenPage) -> None:
    """From the top of a page to its content, to an image, and to its pin."""
    page = open_page(f"{mirror.console}/images").page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == NAME:
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    page.get_by_role("link", name="Pin", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pin").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The image is pinned.")).to_be_visible()


def test_live_parts_come_back_after_a_restart(mirror: MirrorProcess, open_page: OpenPage) -> None:
    """The page of a browser that stays open goes on when the server is there again."""
    page = open_page(f"{mirror.console}/").page
    expect(page.get_by_text("All is well.")).to_be_visible()
    mirror.stop()
    with page.expect_event(
        "response", lambda answer: answer.url.endswith("/live") and answer.ok, timeout=30_000
    ):
        mirror.start()


def test_hostile_words_stay_text(
    make_mirror: MirrorMaker, hub: FakeUpstream, open_page: OpenPage
) -> None:
    """What clients and upstreams write runs no script, on whichever page it appears."""
    mirror = make_mirror(workers=1)
    hostile = "<img src=x onerror=alert(1)>\u202e"
    fetch(f"{mirror.url}/v2/team/app/manifests/1", {"User-Agent": "<script>alert(1)</script>"})
    watched = open_page(f"{mirror.console}/")
    dialogs: list[str] = []
    watched.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for path in ("/images?q=", "/image?name=", "/clients?q=", "/actions/fetch?name="):
        watched.page.goto(mirror.console + path + hostile)
        assert watched.page.locator("main img").count() == 0
    watched.page.goto(f"{mirror.console}/events")
    assert dialogs == []


def test_a_person_is_greeted_at_the_mirror(mirror: MirrorProcess, open_page: OpenPage) -> None:
    """The page at the address of the mirror has no fault either, and its own address."""
    watched = open_page(f"{mirror.url}/")
    watched.page.get_by_text("Docker", exact=True).click()
    expect(watched.page.locator("details[open] pre").first).to_contain_text(mirror.url)
    found = Axe().run(watched.page).response["violations"]

    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert watched.problems == []
