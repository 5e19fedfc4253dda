"""Laws of credentials: they are read strictly, and never shown."""

import base64

import pytest

from registry.access.credentials import Bearer, Login, parse_authorization, split_path
from registry.errors import CredentialsInvalid


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([basic("alice:secret")], Login("alice", "secret")),
        ([basic("alice:a:b")], Login("alice", "a:b")),
        ([basic(":")], Login("", "")),
        (["basic  " + basic("é:ü").split()[1]], Login("é", "ü")),
        (["Bearer abc.def-_~+/="], Bearer("abc.def-_~+/=")),
        (["BEARER x "], Bearer("x")),
    ],
)
def test_credentials(values: list[str], expected: object) -> None:
    """The scheme may be written in any case (RFC 9110 section 11.1)."""
    assert parse_authorization(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        [""],
        ["Basic"],
        ["Basic alice"],
        ["Basic " + base64.b64encode(b"no colon").decode()],
        ["Basic " + base64.b64encode(b"\xff:\xff").decode()],
        ["Digest abc"],
        ["Bearer a b"],
        ["Bearer " + "x" * 9000],
        [basic("a:b"), basic("a:b")],
    ],
)
def test_what_cannot_be_read_is_refused(values: list[str]) -> None:
    """Two headers, or half of one, are no credentials."""
    with pytest.raises(CredentialsInvalid):
        parse_authorization(values)


def test_credentials_are_not_shown() -> None:
    """What prints them, such as a traceback, prints no secret."""
    assert "secret" not in repr(Login("alice", "secret"))
    assert "secret" not in repr(Bearer("secret"))


@pytest.mark.parametrize(
    ("path", "token", "rest"),
    [
        ("/v2/a/tags/list", "", "/v2/a/tags/list"),
        ("/t/abc/v2/", "abc", "/v2/"),
        ("/t/abc/docker.io/v2/a/tags/list", "abc", "/docker.io/v2/a/tags/list"),
        ("/%74/abc/v2/", "abc", "/v2/"),
        ("/t/abc", "abc", "/"),
        ("/t//v2/", "-", "/v2/"),
        ("/t/a%2Fb/v2/", "a%2Fb", "/v2/"),
        ("/team/v2/", "", "/team/v2/"),
        ("/t", "", "/t"),
        ("/v2/t/abc/tags/list", "", "/v2/t/abc/tags/list"),
    ],
)
def test_path_tokens(path: str, token: str, rest: str) -> None:
    """What stands in the place of a token counts as one, so that no log shows it."""
    assert split_path(path) == (token, rest)
