"""The tags by which `entrepot doctor` finds out whether a client asks a mirror. Pure.

No registry has a tag of this form. A mirror answers it with "not found" without asking an upstream,
and tells who knows its random number which client has asked for it.
"""

import re

from registry.oci.names import Reference, Tag

_PREFIX = "entrepot-probe-"
_NONCE = re.compile(r"[0-9a-f]{32}")  # 128 bits: nobody guesses one that is not his own


def write_probe(nonce: str) -> Tag:
    """Return the tag with a random number, which is 32 hexadecimal digits."""
    return Tag(_PREFIX + nonce)


def read_probe(reference: Reference | None) -> str:
    """Return the random number in the tag of a probe; empty for any other reference."""
    if not isinstance(reference, Tag) or not reference.name.startswith(_PREFIX):
        return ""
    nonce = reference.name.removeprefix(_PREFIX)
    return nonce if is_nonce(nonce) else ""


def is_nonce(text: str) -> bool:
    """Whether a text is the random number of a probe."""
    return _NONCE.fullmatch(text) is not None
