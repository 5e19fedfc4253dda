"""Laws of what is read in the requests of browsers."""

import pytest

from registry.console.browser_requests import (
    choose_language,
    is_loopback,
    is_own_form,
    wants_json,
    wants_page,
)


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "expected"),
    [
        ("", "", "", "en"),
        ("", "", "zh-TW,zh;q=0.9,en;q=0.8", "zh"),
        ("", "", "fr, en;q=0.4, zh;q=0.6", "zh"),
        ("", "en", "zh", "en"),
        ("zh", "en", "en", "zh"),
        ("../etc", "", "zh;q=wrong,en", "en"),
    ],
)
def test_which_language(asked: str, kept: str, accepted: str, expected: str) -> None:
    """What was asked for counts first, then what was chosen before, then what is preferred."""
    assert expected == choose_language(asked, kept, accepted)


def test_who_gets_json() -> None:
    """A program that names it, and no browser."""
    assert wants_json("application/json")
    assert wants_json("application/json;q=0.9, */*")
    assert not wants_json("text/html, application/json")
    assert not wants_json("*/*")
    assert wants_page("text/html,application/xhtml+xml")
    assert not wants_page("*/*")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://mirror:5001", "Host": "mirror:5001"}, True),
        ({"Origin": "http://mirror:5000", "Host": "mirror:5001"}, False),
        ({"Origin": "http://evil.example", "Host": "mirror:5001"}, False),
    ],
)
def test_whose_form_it_is(headers: dict[str, str], expected: bool) -> None:
    """What the browser says of the site counts; older ones say the origin."""
    assert expected == is_own_form(headers)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.5", False),
        ("fe80::1%eth0", False),
        ("localhost", False),
        (None, False),
    ],
)
def test_what_is_this_machine(address: str | None, expected: bool) -> None:
    """Only addresses of the loopback are; names are not looked up."""
    assert expected == is_loopback(address)
