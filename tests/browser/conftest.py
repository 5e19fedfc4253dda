"""A browser, and a console with images of a hostile upstream to look at."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"  # Debian's


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window; in CI it has to be there.

    It has a running event loop in this thread, so that it must end before tests of other modules.
    """
    if shutil.which(CHROMIUM) is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@dataclass
class Watched:
    """A page, with all that went wrong in it and where it has asked."""

    page: Page
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


OpenPage = Callable[..., Watched]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages: `open_page(url, java_script_enabled=False, color_scheme="dark", ...)`."""
    contexts: list[BrowserContext] = []

    def open_one(url: str, **options: Any) -> Watched:
        context = browser.new_context(**({"locale": "en-US"} | options))
        contexts.append(context)
        watched = Watched(context.new_page())

        def note(message: Any) -> None:
            if message.type in ("error", "warning"):
                watched.problems.append(message.text)

        watched.page.on("console", note)
        watched.page.on("pageerror", lambda error: watched.problems.append(str(error)))
        watched.page.on("request", lambda request: watched.hosts.add(urlsplit(request.url).netloc))
        watched.page.goto(url)
        return watched

    yield open_one
    for context in contexts:
        context.close()
