"""Reading `Link` headers (RFC 8288 section 3), in time that grows with their length. Pure.

Each step begins where the last one ended. No pattern can give back what it has matched, so no
header makes a step look at the same characters again and again.
"""

import re
from collections.abc import Iterable, Iterator

LONGEST_HEADER = 16 * 1024  # characters that are read; the query of a page may have 4,096
_TARGET = re.compile(r"<([^<>]*+)>")
_PARAMETER = re.compile(
    r"""\s*+;\s*+([^;,="\s<]++)\s*+(?:=\s*+(?:"([^"]*+)"|([^;,"\s]*+)))?""", re.VERBOSE
)


def find_next_link(headers: Iterable[str]) -> str | None:
    """Return the URL of the next page in `Link` headers; None if there is none.

    Some registries send a link without `rel`, which can only be the next page.
    """
    without_rel: str | None = None
    for header in headers:
        for url, relations in _parse(header[:LONGEST_HEADER]):
            if relations is None:
                without_rel = url if without_rel is None else without_rel
            elif "next" in relations.lower().split():
                return url
    return without_rel


def _parse(header: str) -> Iterator[tuple[str, str | None]]:
    """Yield each link and its `rel`, which is None if the link has none."""
    position = header.find("<")
    while position >= 0:
        target = _TARGET.match(header, position)
        if target is None:
            position = header.find("<", position + 1)
            continue
        position = target.end()
        relations: str | None = None
        while (parameter := _PARAMETER.match(header, position)) is not None:
            position = parameter.end()
            if parameter[1].lower() == "rel" and relations is None:
                relations = parameter[2] or parameter[3] or ""
        yield target[1], relations
        position = header.find("<", position)
