"""JSON that is written in one way only, so that a document can name its own digest. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from registry.oci.digest import Digest
from registry.oci.manifest import MAX_SIZE


def encode(document: object) -> bytes:
    """Return the one way to write a document: UTF-8, keys in order, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def identify(document: Mapping[str, Any]) -> str:
    """Return the digest by which a document is known."""
    return str(Digest.of(encode(document)))


def stamp(key: str, document: Mapping[str, Any]) -> bytes:
    """Return a document that has, under `key`, the digest of all else in it."""
    return encode(dict(document) | {key: identify(document)})


def read_text(value: object) -> str:
    """Accept text that a terminal prints and does not obey.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, str) or not value.isprintable():
        raise TypeError(f"{value!r:.80} is not text")
    return value


def clean_text(text: str) -> str:
    """Return text as `read_text` accepts it."""
    return "".join(each if each.isprintable() else "?" for each in text)


def read_size(value: object) -> int:
    """Accept a size in bytes, or another number from zero on.

    Raises:
        TypeError: anything else.
    """
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise TypeError(f"{value!r:.80} is not a size")
    return value
