"""Reading `WWW-Authenticate` headers (RFC 9110 section 11.6.1). Pure.

A Bearer challenge names the scope of the token in the form `repository:library/nginx:pull`
(distribution, "Token Scope Documentation").
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_LONGEST_SCOPE = 2048  # characters
_LONGEST_HEADER = 8192  # characters that are read; a challenge has some hundred
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# One step of the header: a scheme followed by its first parameter, or just a parameter.
_STEP = re.compile(
    rf"""[\s,]*(?:(?P<scheme>{_WORD})(?=\s|$|,)(?!\s*=))?
         [\s,]*(?:(?P<key>{_WORD})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>{_WORD})))?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in; `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Read all challenges of all `headers`; parts that cannot be read are left out.

    So is what follows after the first 8,192 characters of a header.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for header in (each[:_LONGEST_HEADER] for each in headers):
        position = 0
        while position < len(header):
            step = _STEP.match(header, position)
            if step is None or step.end() == position:
                # This part cannot be read, but after the next comma there may be a valid challenge.
                position = header.find(",", position) + 1 or len(header)
                continue
            position = step.end()
            if step["scheme"]:
                found.append((step["scheme"].lower(), {}))
            if step["key"] and found:
                text = step["bare"] or re.sub(r"\\(.)", r"\1", step["quoted"] or "")
                found[-1][1].setdefault(step["key"].lower(), text)
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def choose_challenge(challenges: Iterable[Challenge], *, has_credentials: bool) -> Challenge | None:
    """Return the challenge to answer: a token rather than a password; None if there is none."""
    known = list(challenges)
    for challenge in known:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    for challenge in known:
        if challenge.scheme == "basic" and has_credentials:
            return challenge
    return None


def read_scope(challenge: Challenge) -> str:
    """Return the scope that a challenge asks for, with no more rights than to pull.

    It may be several scopes with a space between them. Empty if the challenge names none, or one
    that cannot be sent.
    """
    text = challenge.parameters.get("scope", "")
    if not text.isascii() or not text.isprintable() or len(text) > _LONGEST_SCOPE:
        return ""
    return " ".join(dict.fromkeys(map(_reduce_to_pull, text.split())))


def _reduce_to_pull(scope: str) -> str:
    kind, _, rest = scope.partition(":")
    name, colon, actions = rest.rpartition(":")
    if kind.partition("(")[0] != "repository" or not colon or actions == "pull":
        return scope
    return f"{kind}:{name}:pull"
