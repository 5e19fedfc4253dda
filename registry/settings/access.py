"""The settings of `[access]`: who may pull what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge

from registry.errors import InvalidInput
from registry.oci.account_names import is_group, is_who
from registry.oci.registries import Registries
from registry.oci.rule_patterns import RulePattern
from registry.settings.fields import Duration, Form, NetworkText, Relation, Section, Size
from registry.settings.values import Refusal, format_duration

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\]")
_LEAST_PERIOD = 86_400.0  # seconds; a file of records has those of one day
_NO_REGISTRIES = Registries("docker.io")


def _check_who(word: str) -> str:
    if not is_who(word):
        raise Refusal(
            f"{word[:80]!r} means nobody",
            'write the name of a user or token, "@" and the name of a group, "anonymous" or "*"',
        )
    return word


def _check_pattern(text: str) -> str:
    try:
        RulePattern.parse(text, _NO_REGISTRIES)
    except InvalidInput as error:
        raise Refusal(str(error), 'write for example "ghcr.io/acme/*", or "*"') from error
    return text


def _check_host(host: str) -> str:
    if _HOST.fullmatch(host) is None:
        raise Refusal(f"{host[:80]!r} is not a host", 'write names such as "mirror.lan"')
    return host.lower()


def _are_groups(networks: Mapping[str, object]) -> Mapping[str, object]:
    for group in networks:
        if not is_group(group):
            raise Refusal(f"{group[:80]!r} is not the name of a group", "write small letters")
    return networks


def _is_one_of_both(deny: tuple[str, ...], before: Mapping[str, Any]) -> tuple[str, ...]:
    if bool(deny) == bool(before.get("allow")):
        raise Refusal(
            "a rule either allows or denies", 'write one of allow = ["..."] and deny = ["..."]'
        )
    return deny


def _lasts(seconds: float) -> float:
    if seconds < _LEAST_PERIOD:
        why = f"{format_duration(seconds)} is less than a day"
        raise Refusal(why, 'write "1d" or more, or records = false')
    return seconds


Who = Annotated[str, Form(check=_check_who)]
RulePatternText = Annotated[str, Form(check=_check_pattern)]


@dataclass(frozen=True)
class AccessRuleSettings(Section):
    """One rule: `who` may, or may not, do these `actions` with images of these patterns.

    `who` has names of users and tokens, `@group`, `anonymous` and `*` for everybody.
    """

    who: tuple[Who, ...]
    allow: tuple[RulePatternText, ...] = ()
    deny: Annotated[tuple[RulePatternText, ...], Relation(_is_one_of_both)] = ()
    actions: tuple[Literal["pull"], ...] = ("pull",)


@dataclass(frozen=True)
class AccessSettings(Section):
    """Who may pull: `open` means everybody; `users`, whoever the first matching rule allows.

    Clients that ask a host in `login_hosts` are asked to log in. `networks` has groups by the
    addresses of their clients.

    With `records`, each answer is recorded; without a value, that is so with `users`. The records
    are kept for `records_for` seconds, and have at most `records_limit` bytes. `addresses` is how
    much is kept of an address: in the records, in the history of pulls, and in the log.
    """

    mode: Literal["open", "users"] = "open"
    login_hosts: tuple[Annotated[str, Form(check=_check_host)], ...] = ()
    networks: Annotated[Mapping[str, tuple[NetworkText, ...]], Form(check=_are_groups)] = field(
        default_factory=dict
    )
    rules: tuple[AccessRuleSettings, ...] = ()
    records: bool | None = None
    records_for: Annotated[Duration, Form(check=_lasts)] = 90 * 86_400.0
    records_limit: Annotated[Size, Ge(1024**2)] = 4 * 1024**3
    addresses: Literal["whole", "networks", "none"] = "whole"

    def __post_init__(self) -> None:
        """Decide about `records`, if nobody has."""
        if self.records is None:
            object.__setattr__(self, "records", self.mode == "users")
