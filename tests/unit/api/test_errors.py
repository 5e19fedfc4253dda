"""Laws of errors as clients see them: no message names a path of this machine."""

import json

import pytest
from aiohttp import web

from registry.api.errors import render
from registry.errors import (
    CatalogLost,
    StoreError,
    StoreTooNew,
    TooManyUnknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
    UpstreamOffline,
    UpstreamThrottled,
    UpstreamUnreachable,
)

PATH = "/srv/private/data/catalog.db"
ENDPOINT = "https://hub.example:8443"


def read_message(answer: web.Response) -> str:
    """Return the message that a client shows."""
    assert isinstance(answer.body, bytes)
    (entry,) = json.loads(answer.body)["errors"]
    return str(entry["message"])


@pytest.mark.parametrize(
    "error",
    [
        StoreError(PATH, "database disk image is malformed"),
        StoreError(PATH, f"another process has held the lock; find it with: fuser -v {PATH}"),
        StoreError("sha256:0", f"{PATH}: No space left on device"),
        StoreTooNew(PATH, 2, 1),
        CatalogLost(PATH),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_disk_shows_no_path(error: StoreError) -> None:
    """Clients learn that the mirror has a problem, and its operators read which in the log."""
    answer = render(error)
    assert isinstance(answer.body, bytes)
    (entry,) = json.loads(answer.body)["errors"]
    assert (answer.status, entry["code"]) == (500, "UNKNOWN")
    assert "its log says why" in entry["message"]
    assert "/" not in entry["message"]


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (UpstreamUnreachable(ENDPOINT, "answers 500"), "try again later, or ask whoever runs this"),
        (UpstreamThrottled(ENDPOINT, "answers 429", 9.0), "try again later, or ask whoever runs"),
        (UpstreamFaulty(ENDPOINT, "sends a web page"), "; ask whoever runs this mirror"),
        (UpstreamDenied(ENDPOINT, "refuses access"), "; ask whoever runs this mirror"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_error_of_the_upstream_says_what_a_user_can_do(error: UpstreamError, cure: str) -> None:
    """The user of a client sees no endpoint, and learns whom to ask if it does not pass."""
    message = read_message(render(error, "docker.io"))
    assert message.startswith("docker.io: the upstream ")
    assert cure in message
    assert ENDPOINT not in message


def test_offline_names_the_registry_once() -> None:
    """The error says by itself whom nobody asks, and a later try is no cure."""
    message = read_message(render(UpstreamOffline("docker.io"), "docker.io"))
    assert message.count("docker.io") == 1
    assert "try again" not in message


def test_an_address_that_asks_too_much_is_told_when_to_try_again() -> None:
    """The code is that of the specification, and the message names the setting."""
    answer = render(TooManyUnknown())
    assert isinstance(answer.body, bytes)
    (entry,) = json.loads(answer.body)["errors"]
    assert (answer.status, entry["code"]) == (429, "TOOMANYREQUESTS")
    assert answer.headers["Retry-After"] == "5"
    assert "limits.not_found_per_address" in entry["message"]
