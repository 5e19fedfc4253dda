"""Builds what decides who is let through, where `access.mode` is "users"."""

from dataclasses import dataclass

from registry.access.accounts_file import LiveAccounts
from registry.access.challenges import Challenges
from registry.access.control import AccessControl
from registry.access.networks import Networks
from registry.access.passwords import PasswordChecks
from registry.access.rules import Rule, Rules
from registry.access.signed_tokens import TokenSigner, open_key
from registry.oci.rule_patterns import RulePattern
from registry.settings.access import AccessRuleSettings
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, what they may do, and who is asked to log in."""

    control: AccessControl
    rules: Rules
    challenges: Challenges


def build_access(settings: Settings, folder: DataFolder) -> Access:
    """Build it for one process.

    Raises:
        StoreError: the accounts or the key cannot be read.
    """
    access = settings.access
    control = AccessControl(
        LiveAccounts(folder.accounts),
        TokenSigner(open_key(folder.token_key)),
        Networks(access.networks),
        PasswordChecks(),
    )
    return Access(control, build_rules(settings), Challenges(access.login_hosts))


def build_rules(settings: Settings) -> Rules:
    """Return the rules in the settings; registries with a password are private."""
    private = [name for name, upstream in settings.upstreams.items() if upstream.username]
    rules = [
        _build_rule(f"access.rules[{number}]", each, settings)
        for number, each in enumerate(settings.access.rules, 1)
    ]
    return Rules(rules, private)


def _build_rule(name: str, rule: AccessRuleSettings, settings: Settings) -> Rule:
    registries = settings.registries
    images = tuple(RulePattern.parse(text, registries) for text in rule.allow or rule.deny)
    return Rule(name, frozenset(rule.who), images, bool(rule.allow), frozenset(rule.actions))
