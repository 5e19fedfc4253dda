"""Laws of domains: without credentials all upstreams are one, and with them each is its own."""

from registry.settings.trust_domains import find_trusted
from registry.settings.upstreams import UpstreamSettings


def make(**users: str) -> dict[str, UpstreamSettings]:
    return {
        name: UpstreamSettings(endpoints=(f"https://{name}.example",), username=user)
        for name, user in users.items()
    }


def test_without_credentials_nothing_is_checked() -> None:
    """If no upstream has a user name, there is nothing private."""
    assert find_trusted(make(hub="", quay="")) == {}
    assert find_trusted({}) == {}


def test_each_login_is_a_domain_of_its_own() -> None:
    """Two private upstreams may have what is public, and nothing of each other."""
    trusted = find_trusted(make(hub="", quay="", team="ann", other="ann"))

    assert trusted == {
        "hub": {"hub", "quay"},
        "quay": {"hub", "quay"},
        "team": {"hub", "quay", "team"},
        "other": {"hub", "quay", "other"},
    }


def test_a_login_that_is_added_takes_effect() -> None:
    """What was public until then is private from then on."""
    assert find_trusted(make(hub="", quay="")) == {}
    assert "hub" not in find_trusted(make(hub="ann", quay=""))["quay"]
