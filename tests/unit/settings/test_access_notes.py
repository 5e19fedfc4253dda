"""What is said of settings of access that do less than they seem to say."""

from dataclasses import replace

import pytest

from registry.settings.access import AccessRuleSettings, AccessSettings
from registry.settings.access_notes import list_ineffective
from registry.settings.model import ServerSettings, Settings

RULE = AccessRuleSettings(("alice",), allow=("docker.io/*", "*", "*.io/team/*"))
DENY = AccessRuleSettings(("bob",), deny=("corp.lan/app",))
USERS = AccessSettings(mode="users", login_hosts=("mirror.lan",), rules=(RULE,))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(access=USERS),
        Settings(access=replace(USERS, rules=(RULE, DENY))),
        Settings(access=AccessSettings(rules=(AccessRuleSettings(("a",), ("corp.lan/*",)),))),
        Settings(access=USERS, server=ServerSettings(client_ca="ca.crt")),
    ],
)
def test_there_is_nothing_to_say(settings: Settings) -> None:
    """What works is not told; nor are rules that nobody asks."""
    assert list(list_ineffective(settings)) == []


def test_nobody_may_pull_without_rules() -> None:
    settings = Settings(access=replace(USERS, rules=()))

    (line,) = list_ineffective(settings)

    assert (
        line == "access.rules: there is none, so nobody may pull anything; write [[access.rules]]"
    )


def test_a_rule_may_name_a_registry_that_is_not_configured() -> None:
    """Whoever writes it expects to pull from there."""
    other = AccessRuleSettings(("bob",), allow=("corp.lan/app",))
    settings = Settings(access=replace(USERS, rules=(RULE, other)))

    (line,) = list_ineffective(settings)

    assert line == (
        "access.rules[2]: corp.lan is no upstream of the settings, so nothing of it can be pulled;"
        ' write a table [upstreams."corp.lan"]'
    )


def test_certificates_of_clients_end_at_a_proxy() -> None:
    """The mirror sees that of the proxy."""
    server = ServerSettings(client_ca="ca.crt", trusted_proxies=("10.0.0.5/32",))

    (line,) = list_ineffective(Settings(access=USERS, server=server))

    assert line.startswith("server.client_ca: clients behind a proxy in trusted_proxies are not")
