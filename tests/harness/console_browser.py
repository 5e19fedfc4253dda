"""The console as a program asks for it: pages, JSON, and forms with their values."""

import http.client
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tests.harness.mirror import MirrorProcess

HTML = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')


@dataclass(frozen=True)
class Answer:
    """The answer to one request; the names of `headers` are in lower case."""

    status: int
    headers: dict[str, str]
    text: str


class ConsoleBrowser:
    """Asks the console of a mirror; it keeps cookies, and follows no redirect."""

    def __init__(self, mirror: MirrorProcess) -> None:
        self._address = urlsplit(mirror.console).netloc
        self.cookies: dict[str, str] = {}

    def ask(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        form: Mapping[str, str | Sequence[str]] | None = None,
    ) -> Answer:
        """Send a GET, or a POST with a form, in which a field may have several values."""
        sent = {"Accept": HTML, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        body = None
        if form is not None:
            body = urlencode(form, doseq=True)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request("GET" if form is None else "POST", path, body, sent)
            response = connection.getresponse()
            for header in response.headers.get_all("Set-Cookie", []):
                name, _, value = header.partition(";")[0].partition("=")
                self.cookies[name] = value
            answered = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, answered, response.read().decode())
        finally:
            connection.close()

    def read(self, path: str) -> Any:
        """Return the facts of a page."""
        answer = self.ask(path, {"Accept": "application/json"})
        assert answer.status == 200, answer
        return json.loads(answer.text)

    def act(self, verb: str, name: str, **fields: str) -> Answer:
        """Open the page of an action, and send its form."""
        page = self.ask(f"/actions/{verb}?{urlencode({'name': name, **fields})}")
        assert page.status == 200, page.text
        return self.ask(
            f"/actions/{verb}", form={"token": find_token(page.text), "name": name, **fields}
        )


def find_token(page: str) -> str:
    """Return the value that the forms of a page have."""
    found = _TOKEN.search(page)
    assert found is not None, page
    return found[1]


def path_of(name: str) -> str:
    """Return the path of the page of an image."""
    return f"/image?name={quote(name, safe='')}"
