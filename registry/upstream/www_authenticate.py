"""Reading `WWW-Authenticate` headers (RFC 9110 section 11.6.1). Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    """Read all challenges of all `headers`; parts that cannot be read are left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for header in headers:
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
