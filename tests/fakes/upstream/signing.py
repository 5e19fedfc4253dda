"""Signed URLs of the content host, which are valid only without any change."""

import base64
import secrets
import threading
import time
from typing import Literal
from urllib.parse import quote

from tests.harness.planted import URL_SIGNATURE

# Three bytes whose base64 is "+/+/": a client that encodes URLs again breaks every signature.
ESCAPED = b"\xfb\xff\xbf"


class Signer:
    """Issues signed queries and checks them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._issued: dict[str, float] = {}

    def sign(self, path: str, ttl: float) -> str:
        """Return the path with a query like `?verify=<expiry>-%2B%2F...%3D&x=a%20b+c`."""
        # 35 bytes in base64 end with one "=".
        random = secrets.token_bytes(32 - len(URL_SIGNATURE))
        signature = base64.b64encode(ESCAPED + URL_SIGNATURE.encode() + random).decode()
        expiry = int(time.time() + ttl)
        target = f"{path}?verify={expiry}-{quote(signature, safe='')}&x=a%20b+c"
        with self._lock:
            self._issued[target] = time.monotonic() + ttl
        return target

    def check(self, target: str) -> Literal["good", "expired", "wrong"]:
        """Whether a request target, as it was received, has a valid signature."""
        with self._lock:
            expires_at = self._issued.get(target)
        if expires_at is None:
            return "wrong"
        return "good" if expires_at > time.monotonic() else "expired"

    def expire_all(self) -> None:
        """Make all URLs signed so far invalid."""
        with self._lock:
            self._issued = dict.fromkeys(self._issued, 0.0)
