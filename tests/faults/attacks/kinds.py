"""What each kind of attack says on one of its connections."""

import base64
import hashlib
import random
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

TURN = 0.05  # seconds between two rounds
LOGIN_HOST = "login.test"  # the host whose clients are asked to log in
FROM_MANY = frozenset({"wrong passwords from many"})  # each connection has an address of its own
CHUNK = b"8000\r\n" + bytes(0x8000) + b"\r\n"


@dataclass
class Peer:
    """One connection; `said` counts its rounds, `rest` is what the kernel has not taken yet."""

    connection: socket.socket
    said: int = 0
    rest: bytes = b""
    number: int = 0


@dataclass(frozen=True)
class Target:
    """The path of a blob or manifest that exists, and the headers of each request."""

    path: str
    headers: str = "Host: a\r\n"

    @property
    def repository(self) -> str:
        """The path of the repository."""
        return self.path.partition("/blobs/")[0]

    def write(self, path: str = "", more: str = "") -> bytes:
        """Return a request for a path; `more` are lines of its head."""
        return f"GET {path or self.path} HTTP/1.1\r\n{self.headers}{more}\r\n".encode()


Speak = Callable[[Peer, Target], bytes]


def dribble(peer: Peer, target: Target) -> bytes:
    """A head that never ends: one byte a second."""
    if peer.said == 0:
        return target.write(more="X-Slow: ").removesuffix(b"\r\n")
    return b"a" if peer.said % int(1 / TURN) == 0 else b""


def leave_unread(peer: Peer, target: Target) -> bytes:
    """One request for a large blob, of which nothing is read."""
    return target.write() if peer.said == 0 else b""


def say_nothing(_: Peer, __: Target) -> bytes:
    """A connection without a byte."""
    return b""


@cache
def make_greeting() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def greet_only(peer: Peer, _: Target) -> bytes:
    """The first message of a TLS handshake, and no other."""
    return b"" if peer.said else make_greeting()


def is_answered(peer: Peer) -> bool:
    """Whether an answer came since the last request, or there was none yet."""
    with suppress(BlockingIOError):
        while data := peer.connection.recv(65536):
            peer.number = 0 if data else peer.number
    return not peer.number


def ask_for_names(peer: Peer, target: Target) -> bytes:
    """A name that nobody asked for yet, as soon as the last answer came."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    name = f"{peer.connection.fileno():x}{time.monotonic_ns():x}"
    return target.write(f"/v2/library/{name}/manifests/1")


def ask_for_digests(peer: Peer, target: Target) -> bytes:
    """Tags, digests, blobs, referrers and lists that do not exist, of a repository that does."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    word = f"{peer.connection.fileno():x}{time.monotonic_ns():x}"
    digest = f"sha256:{hashlib.sha256(word.encode()).hexdigest()}"
    repository = target.repository
    paths = (
        f"{repository}/manifests/{word}",
        f"{repository}/manifests/{digest}",
        f"{repository}/blobs/{digest}",
        f"{repository}/referrers/{digest}",
        f"/v2/library/{word}/tags/list",
        f"/v2/library/{word}/manifests/1?ns={word}.example",
    )
    return target.write(random.choice(paths))


def ask_for_lists(peer: Peer, target: Target) -> bytes:
    """Lists that the mirror has, as soon as the last answer came."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    return target.write(random.choice(("/v2/_catalog", f"{target.repository}/tags/list")))


def ask_for_ranges(peer: Peer, target: Target) -> bytes:
    """900 ranges in one request, and then 60, of which nothing is skipped."""
    with suppress(BlockingIOError):
        while peer.connection.recv(1 << 20):
            pass
    if peer.said % 10:
        return b""
    count = 900 if peer.said % 20 else 60
    ranges = ",".join(f"{3 * number}-{3 * number}" for number in range(count))
    return target.write(more=f"Range: bytes={ranges}\r\n")


def pipeline(peer: Peer, target: Target) -> bytes:
    """Requests without end, of whose answers nothing is read."""
    return target.write() * 100 if not peer.rest else b""


def send_body(peer: Peer, target: Target) -> bytes:
    """A request with a body without end."""
    if peer.said == 0:
        return target.write(more="Transfer-Encoding: chunked\r\n")
    return CHUNK if not peer.rest else b""


def guess_passwords(peer: Peer, target: Target) -> bytes:
    """A user that exists with another password each time, as soon as the last answer came."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    login = base64.b64encode(f"alice:{random.randbytes(12).hex()}".encode()).decode()
    path, host = random.choice((("/token", LOGIN_HOST), (target.path, "a")))
    return Target(path, f"Host: {host}\r\n").write(more=f"Authorization: Basic {login}\r\n")


def ask_for_tokens(peer: Peer, target: Target) -> bytes:
    """Tokens of `/token` for nobody, for as many repositories as fit."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    word = random.randbytes(8).hex()
    scopes = "&".join(f"scope=repository:library/{word}{each}:pull" for each in range(60))
    return Target(f"/token?{scopes}", f"Host: {LOGIN_HOST}\r\n").write()


def guess_tokens(peer: Peer, target: Target) -> bytes:
    """A token in the path, or as a password or Bearer, that nobody has."""
    if not is_answered(peer):
        return b""
    peer.number = 1
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    token = f"ent_{''.join(random.choices(letters, k=8))}_{''.join(random.choices(letters, k=32))}"
    if random.getrandbits(1):
        return Target(f"/t/{token}{target.path}").write()
    return Target(target.path).write(more=f"Authorization: Bearer {token}\r\n")


OF_USERS: Mapping[str, Speak] = MappingProxyType(
    {  # only if users log in
        "wrong passwords": guess_passwords,
        "wrong passwords from many": guess_passwords,
        "token floods": ask_for_tokens,
        "guessed tokens": guess_tokens,
    }
)
KINDS: Mapping[str, Speak] = MappingProxyType(
    {
        "dribbling heads": dribble,
        "non-readers": leave_unread,
        "idle": say_nothing,
        "handshakes left open": greet_only,
        "random names": ask_for_names,
        "random digests": ask_for_digests,
        "lists": ask_for_lists,
        "many ranges": ask_for_ranges,
        "pipelining unread": pipeline,
        "endless bodies": send_body,
    }
)
