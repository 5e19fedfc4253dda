"""Scopes of tokens: what a client says it wants to do (distribution, "Token Scope"). Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 16  # scopes of one request; docker asks for one, and for two to mount a blob
LONGEST = 1024  # characters of a scope
_SCOPE = re.compile(
    r"repository(?:\([a-z0-9]+\))?:(?P<name>[^:]+(?::[0-9]+/[^:]+)?):(?P<actions>[a-z*,]*)"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """A repository, by the name under which a client asks, and what is to be done with it."""

    repository: str
    actions: frozenset[str]


def parse_scopes(texts: Iterable[str]) -> list[Scope]:
    """Read the parameters `scope` of a request, each of which may have several, with spaces.

    Scopes that are no repository, such as `registry:catalog:*`, are left out.
    """
    words = [word for text in texts for word in text[: MOST * LONGEST].split(" ")]
    found = (_SCOPE.fullmatch(word) for word in words[:MOST] if len(word) <= LONGEST)
    return [
        Scope(each["name"], frozenset(each["actions"].split(",")) - {""})
        for each in found
        if each is not None
    ]
