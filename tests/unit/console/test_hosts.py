"""Laws of the Host header of the console."""

import pytest

from registry.console.hosts import is_own_name

NAMES = {"mirror.lan"}


@pytest.mark.parametrize(
    "header",
    [
        *("", "localhost", "localhost:5001", "LOCALHOST:5001", "entrepot:5001", "127.0.0.1:5001"),
        *("10.1.2.3", "[::1]:5001", "[fe80::1]", "mirror.lan", "Mirror.LAN:5001", "mirror.lan."),
    ],
)
def test_own_names(header: str) -> None:
    """Addresses, names without a dot, and the names in the settings are ours, with any port."""
    assert is_own_name(header, NAMES)


@pytest.mark.parametrize(
    "header",
    [
        *("evil.example", "evil.example:5001", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("mirror.lan.evil.example", "evil.mirror.lan", "[::1].evil.example", "::1.evil.example"),
        *("1.2.3", "[evil.example]", "[fe80::evil]", "[]", "[]:80"),
    ],
)
def test_names_of_others(header: str) -> None:
    """Another domain may belong to a web page, whatever it begins or ends with."""
    assert not is_own_name(header, NAMES)
    assert is_own_name(header, {"*"})
