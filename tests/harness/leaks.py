"""What mirrors leave behind: no secret in a log, page or file, and no file that others can read.

The harness looks when a mirror ends, so this holds for every test that starts one.
"""

import base64
import http.client
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tests.harness.planted import find_secrets

PAGES = ("/metrics", "/readyz", "/livez")
PATIENCE = 2.0  # seconds for each page; a mirror that a test has stopped answers none
OTHERS = 0o077  # the bits of a mode that let other users in
ACCOUNTS, KEY, RECORDS = "accounts.json", "token.key", "access-records"
# Bytes that were verified against their digest, and so come from an upstream or a bundle.
_CONTENT = frozenset({"blobs", "quarantine"})
_SPARE = "catalog.db.spare"  # 2 MiB without content, so that the catalog can grow on a full disk
_MOST = 16 * 1024 * 1024  # bytes of a file that is read


def read_pages(console: str) -> dict[str, bytes]:
    """Return the pages of a mirror for people and monitoring, as far as it answers."""
    found = {}
    for path in PAGES:
        connection = http.client.HTTPConnection(console.removeprefix("http://"), timeout=PATIENCE)
        try:
            connection.request("GET", path)
            found[path] = connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            break  # it is not running, or busy with what the test does
        finally:
            connection.close()
    return found


def list_leaks(
    log: Path, data: Path, pages: Mapping[str, bytes], *, is_own_folder: bool
) -> list[str]:
    """Return a line for each place where a secret was found, or that other users could read.

    `is_own_folder` says that the mirror itself has made its data folder `data`.
    """
    return [
        *_search_texts(log, data, pages),
        *_search_folder(data),
        *_check_modes(data, is_own_folder=is_own_folder),
    ]


def _search_texts(log: Path, data: Path, pages: Mapping[str, bytes]) -> Iterator[str]:
    texts = {"the log": log.read_bytes() if log.exists() else b""} | {
        f"the page {path}": page for path, page in pages.items()
    }
    keys = list(_encode_key(_read(data / KEY)))
    for place, text in texts.items():
        if found := find_secrets(text):
            yield f"a secret is in {place}: …{found}…"
        if any(key in text for key in keys):
            yield f"the key that signs tokens is in {place}"


def _encode_key(key: bytes) -> Iterator[bytes]:
    """Yield the forms in which a program would print a key; nothing if there is no key."""
    if key:
        yield key.hex().encode()
        yield base64.b64encode(key).rstrip(b"=")
        yield base64.urlsafe_b64encode(key).rstrip(b"=")


def _search_folder(data: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(data):
        here = Path(folder)
        if here == data:
            folders[:] = [each for each in folders if each not in _CONTENT]
        for name in (*folders, *names):
            if found := find_secrets(name.encode(errors="surrogateescape")):
                yield f"a secret is a name in the data folder: {found}"
        for name in names:
            if name == _SPARE:
                continue
            # Passwords are stored as hashes, and nowhere else.
            own = b"$2" if name == ACCOUNTS and here == data else b""
            if found := find_secrets(_read(here / name), may_have=own):
                yield f"a secret is in {here / name}: …{found}…"


def _check_modes(data: Path, *, is_own_folder: bool) -> Iterator[str]:
    secret = [data / ACCOUNTS, data / KEY, data / RECORDS]
    if is_own_folder:
        secret.append(data)
    with suppress(OSError):  # no records
        secret += (data / RECORDS).iterdir()
    for path in secret:
        with suppress(OSError):  # it was not made, or the test has removed it
            mode = path.stat().st_mode
            if mode & OTHERS:
                yield f"other users can read {path}: its mode is {mode & 0o777:o}"


def _read(path: Path) -> bytes:
    """Return the content of a file; nothing of what is no file, too large, or cannot be read."""
    with suppress(OSError):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST:
            return path.read_bytes()
    return b""
