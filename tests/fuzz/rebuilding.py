"""Mutated archives with correct checksums, so that mutations reach the code behind them."""

import json
from collections.abc import Iterator

from registry.bundle.format.canonical_json import encode_with_digest
from registry.bundle.format.tar import BLOCK, is_file_name, pad
from registry.errors import EntrepotError
from tests.harness.bundles import write_tar

STAMPS = {"bundle.json": "bundleId", "volume.json": "volumeId"}


def rebuild(raw: bytes) -> bytes:
    """Return an archive of the files in `raw`, with right headers, and ids that fit."""
    return write_tar([(name, restamp(name, content)) for name, content in _list_files(raw)])


def restamp(name: str, content: bytes) -> bytes:
    """Return a document with the id that its fields have by now; other files as they are."""
    key = STAMPS.get(name)
    if key is None:
        return content
    try:
        fields = json.loads(content)
        fields.pop(key)
        return encode_with_digest(key, fields)[1]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError, EntrepotError):
        return content


def _list_files(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what still looks like a file, by the names and sizes in headers, right or wrong."""
    position = 0
    while position + BLOCK <= len(raw):
        block = raw[position : position + BLOCK]
        name = block[:100].rstrip(b"\0").decode("ascii", "replace")
        size = _read_size(block)
        position += BLOCK
        if size is not None and is_file_name(name):
            yield name, raw[position : position + size]
            position += pad(size)


def _read_size(block: bytes) -> int | None:
    try:
        return int(block[124:136].rstrip(b"\0 "), 8)
    except ValueError:
        return None
