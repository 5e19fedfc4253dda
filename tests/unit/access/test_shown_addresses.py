"""Laws of what is kept of an address."""

import pytest

from registry.access.shown_addresses import choose_form


@pytest.mark.parametrize(
    ("kept", "address", "shown"),
    [
        ("whole", "10.1.2.3", "10.1.2.3"),
        ("whole", "::ffff:10.1.2.3", "10.1.2.3"),
        ("whole", "2001:db8:1:2::7", "2001:db8:1:2::7"),
        ("whole", "::ffff:1", "::ffff:1"),
        ("whole", None, None),
        ("networks", "10.1.2.3", "10.1.2.0/24"),
        ("networks", "::ffff:10.1.2.3", "10.1.2.0/24"),
        ("networks", "2001:db8:1:2::7", "2001:db8:1::/48"),
        ("networks", "fe80::1%eth0", "fe80::/48"),
        ("networks", "unknown", None),
        ("networks", "", None),
        ("networks", None, None),
        ("none", "10.1.2.3", None),
        ("none", None, None),
    ],
)
def test_no_more_is_kept_than_the_setting_says(
    kept: str, address: str | None, shown: str | None
) -> None:
    """The whole address, its network, or nothing."""
    assert choose_form(kept)(address) == shown
