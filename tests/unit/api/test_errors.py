"""Laws of errors as clients see them: no message names a path of this machine."""

import json

import pytest

from registry.api.errors import render
from registry.errors import CatalogLost, StoreError, StoreTooNew, TooManyUnknown

PATH = "/srv/private/data/catalog.db"


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


def test_an_address_that_asks_too_much_is_told_when_to_try_again() -> None:
    """The code is that of the specification, and the message names the setting."""
    answer = render(TooManyUnknown())
    assert isinstance(answer.body, bytes)
    (entry,) = json.loads(answer.body)["errors"]
    assert (answer.status, entry["code"]) == (429, "TOOMANYREQUESTS")
    assert answer.headers["Retry-After"] == "5"
    assert "limits.not_found_per_address" in entry["message"]
