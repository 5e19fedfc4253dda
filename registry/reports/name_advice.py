"""Which endpoints should say what a tag means, after a test of them. Pure.

Decision record 0033 has what each setting of `names` risks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """What the settings say of an upstream: its `endpoints`, and the setting `names`.

    `trusted` are those of the endpoints that the operator has named as trusted.
    """

    endpoints: Sequence[str] = ()
    names: str = "trusted"
    trusted: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class NameAdvice:
    """The values of the settings `names` and `trusted` to write; empty: the setting stays."""

    names: str = ""
    trusted: tuple[str, ...] = ()


def advise_names(
    good: Sequence[str], rules: EndpointRules, *, own_works: bool, has_own: bool
) -> NameAdvice:
    """Return what to write so that tags can be pulled from the endpoints `good`, best first.

    Nothing, if the registry itself works, or what the operator has chosen can be kept. `has_own`
    says whether an endpoint of the registry itself stays in the list.
    """
    is_chosen = rules.names == "first" or any(each in rules.trusted for each in good)
    if own_works or is_chosen or not good:
        return NameAdvice()
    if len({urlsplit(each).hostname for each in good}) > 1:
        return NameAdvice("agree")
    # With "agree", nobody could confirm what the only one says.
    names = "trusted" if rules.names == "agree" else ""
    if not (has_own or rules.trusted):
        return NameAdvice(names)  # without a trusted endpoint, all of them are
    server = urlsplit(good[0]).netloc
    return NameAdvice(names, (good[0] if server.startswith("[") else server,))
