"""JSON that is written in one way only, so that a document can contain its own digest. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from registry.oci.digest import Digest
from registry.oci.manifest import MAX_SIZE


def encode(document: object) -> bytes:
    """Return the canonical bytes of a document: UTF-8, keys in order, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def encode_with_digest(key: str, document: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the digest of a document, and the document as JSON with that digest in field `key`."""
    digest = str(Digest.of(encode(document)))
    return digest, encode(dict(document) | {key: digest})


def read_texts(values: object) -> tuple[str, ...]:
    """Return a list of texts as a tuple; refuse control characters, which change a terminal.

    Raises:
        TypeError: it is not a list, or an entry is not a text without control characters.
    """
    if not isinstance(values, list):
        raise TypeError(f"{values!r:.80} is not a list")
    for value in values:
        if not isinstance(value, str) or not value.isprintable():
            raise TypeError(f"{value!r:.80} is not text")
    return tuple(values)


def clean_text(text: str) -> str:
    """Return a text with `?` for each character that `read_texts` refuses."""
    return "".join(each if each.isprintable() else "?" for each in text)


def read_sizes(values: Sequence[object]) -> tuple[int, ...]:
    """Return a list of sizes in bytes (whole numbers of 0 or more) as a tuple.

    Raises:
        TypeError: one of them is not a whole number of 0 or more, or is too large.
    """
    found = []
    for value in values:
        if type(value) is not int or not 0 <= value <= MAX_SIZE:
            raise TypeError(f"{value!r:.80} is not a size")
        found.append(value)
    return tuple(found)
