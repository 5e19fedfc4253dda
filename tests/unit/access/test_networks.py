"""Laws of networks: an address is in every group one of whose networks contains it."""

import pytest

from registry.access.networks import Networks

NETWORKS = Networks(
    {
        "build": ["10.2.0.0/16", "fd00::/8"],
        "all": ["0.0.0.0/0"],
        "mapped": ["::ffff:10.9.0.0/112"],
        "six": ["::/0"],
    }
)


@pytest.mark.parametrize(
    ("address", "groups"),
    [
        ("10.2.3.4", {"build", "all"}),
        ("10.3.3.4", {"all"}),
        ("::ffff:10.2.3.4", {"build", "all"}),
        ("10.9.255.255", {"all", "mapped"}),
        ("::ffff:10.9.0.1", {"all", "mapped"}),
        ("10.10.0.0", {"all"}),
        ("fd00::1%eth0", {"build", "six"}),
        ("2001:db8::1", {"six"}),
        ("not an address", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_groups_of_an_address(address: str | None, groups: set[str]) -> None:
    """IPv4 over a socket for both is IPv4, and so is a network that is written as IPv6."""
    assert NETWORKS.find_groups(address) == groups
