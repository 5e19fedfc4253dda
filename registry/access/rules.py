"""What each identity may do: rules are read in order, and the first that matches decides. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from registry.access.principals import Principal
from registry.oci.registries import Registries
from registry.oci.rule_patterns import RulePattern

PULL = "pull"
REMEMBERED = 4096  # decisions


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed, and the name of the rule that says so; empty: no rule does."""

    is_allowed: bool
    rule: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may, or may not, do what with which images; `name` is its place in the settings."""

    name: str
    who: frozenset[str]
    images: tuple[RulePattern, ...]
    is_allowed: bool
    actions: frozenset[str] = frozenset({PULL})

    @classmethod
    def parse(
        cls,
        name: str,
        who: Iterable[str],
        images: Iterable[str],
        registries: Registries,
        *,
        is_allowed: bool,
        actions: Iterable[str] = (PULL,),
    ) -> "Rule":
        """Make a rule of what the settings say.

        Raises:
            InvalidInput: one of `images` is no pattern.
        """
        patterns = tuple(RulePattern.parse(text, registries) for text in images)
        return cls(name, frozenset(who), patterns, is_allowed, frozenset(actions))

    def matches(self, repository: str, tag: str | None, private_registry: str) -> bool:
        """Whether the rule says something about a tag, or about a repository if `tag` is None.

        About digests and lists, a rule that allows some tags says yes, and one that denies some
        tags says nothing: what a tag leads to is pulled by digest. A rule that allows says
        something about a `private_registry` only where this registry is spelled out: `*` does not
        open what needs a password upstream. A rule that denies everything denies this too.
        """
        for pattern in self.images:
            is_open = not private_registry or pattern.names_registry(private_registry)
            if self.is_allowed and not is_open:
                continue
            if not pattern.matches(repository):
                continue
            if tag is None and (self.is_allowed or not pattern.has_tag):
                return True
            if tag is not None and pattern.matches_tag(tag):
                return True
        return False


class Rules:
    """The rules of a mirror, for good: with other settings there are other rules."""

    def __init__(self, rules: Sequence[Rule], private: Collection[str] = ()) -> None:
        """`private` are the registries with a password."""
        self._rules = tuple(rules)
        self._private = frozenset(private)
        self._decide = lru_cache(REMEMBERED)(self._find)

    def decide(
        self, principal: Principal, repository: str, tag: str | None = None, action: str = PULL
    ) -> Decision:
        """Return whether somebody may do something with a tag, or with a repository.

        `repository` is a full name, `registry/repository`.
        """
        # Not by the principal itself: the end of its proof would make each one another key.
        return self._decide(principal.name, principal.groups, repository, tag, action)

    def _find(
        self, name: str, groups: frozenset[str], repository: str, tag: str | None, action: str
    ) -> Decision:
        principal = Principal(name, groups)
        registry = repository.partition("/")[0]
        private = registry if registry in self._private else ""
        for rule in self._rules:
            if action not in rule.actions or not principal.is_among(rule.who):
                continue
            if rule.matches(repository, tag, private):
                return Decision(rule.is_allowed, rule.name)
        return Decision(is_allowed=False, rule="")
