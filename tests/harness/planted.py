"""The secrets that tests give to mirrors and fakes, and the search for them where none may be.

Each of them has a mark in it, so a leak is found wherever it is, and whoever planted it. What a
mirror makes by itself (tokens, hashes of passwords, keys) is known by its form.
"""

import base64
import re
from collections.abc import Iterator

# Small letters and digits only: it means the same in a path, a header, a URL and a password.
MARK = "x9pl4ntedq7"

# What clients send.
USER_PASSWORD = f"{MARK} correct horse"
WRONG_PASSWORD = f"{MARK}-wrong-password"
CLIENT_HEADER = f"{MARK}-client-header"  # as the credentials of other services, which are ignored
CLIENT_COOKIE = f"session={MARK}-client-cookie"
# What operators write into files.
UPSTREAM_PASSWORD = f"{MARK}:upstream:password"
PROXY_PASSWORD = f"{MARK}-proxy-password"
# What upstreams send: the beginnings of their tokens and of the signatures in their URLs.
UPSTREAM_TOKEN = f"{MARK}-upstream-token-"
URL_SIGNATURE = f"{MARK}-url"

_AROUND = 60  # characters that are shown before and after what was found


def _encode_mark() -> Iterator[bytes]:
    """Yield the mark as it is, in hexadecimal, and in base64 from each of three places."""
    mark = MARK.encode()
    yield mark
    yield mark.hex().encode()
    for before in range(3):
        text = base64.b64encode(bytes(before) + mark)
        # The first and the last characters depend on what is around the mark.
        yield text[-(-before * 8 // 6) : (before + len(mark)) * 8 // 6]


_MARKS = tuple(_encode_mark())
# What a mirror makes: a part that begins each secret, and then the form of the whole.
_MADE = {
    b"ent_": re.compile(rb"ent_[a-z2-7]{8}_[a-z2-7]{8}"),
    b"ens1.": re.compile(rb"ens1\.[A-Za-z0-9_-]{8}"),
    b"$2": re.compile(rb"\$2[aby]\$[0-9]{2}\$"),
    b"PRIVATE": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}


def find_marks(content: bytes) -> str:
    """Return what is around the first planted secret in `content`; "" without one."""
    for mark in _MARKS:
        if (at := content.find(mark)) >= 0:
            return _show(content, at)
    return ""


def find_secrets(content: bytes, *, may_have: bytes = b"") -> str:
    """Return what is around the first secret, planted or made by a mirror; "" without one.

    Secrets that begin with `may_have` do not count.
    """
    for begin, form in _MADE.items():
        if begin != may_have and begin in content and (found := form.search(content)):
            return _show(content, found.start())
    return find_marks(content)


def _show(content: bytes, at: int) -> str:
    return content[max(0, at - _AROUND) : at + _AROUND].decode("utf-8", "replace")


def refuse_secrets(place: str, content: bytes) -> None:
    """Fail if there is a planted secret in `content`, which was seen at `place`.

    Raises:
        AssertionError: there is one; the message names the place.
    """
    found = find_marks(content)
    assert not found, f"a planted secret is in {place}: …{found}…"
