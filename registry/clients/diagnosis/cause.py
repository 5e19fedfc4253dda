"""Why a client does not use a mirror: a sentence, evidence, and what helps. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from registry.clients.mirror import Mirror, is_loopback

# Kinds of causes that are more than something in a file: nobody has tried to set the client up; its
# daemon does not answer; it is another program; its files cannot be read by this user.
NOT_SET_UP = "not set up"
NO_DAEMON = "daemon"
NOT_DOCKER = "another program"
UNREAD = "not read"
_PORTS = {"http": 80, "https": 443}.items()


@dataclass(frozen=True, slots=True)
class Cause:
    """Something in the configuration of a client, because of which it may not use the mirror.

    `kind` is one of a few words. `cure` is a command, or what to write where. `stays` says that it
    is worth a warning even if the client is seen to use the mirror; otherwise the client has shown
    then that it does not matter.
    """

    kind: str
    sentence: str
    evidence: tuple[str, ...] = ()
    cure: str = ""
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is known of the configuration of a client: `causes` are the worst first.

    `evidence` is what its configuration says of the mirror, also if nothing is wrong. `only` says
    for which images the client can ask the mirror at all; it is empty if for all.
    """

    causes: tuple[Cause, ...] = ()
    evidence: tuple[str, ...] = ()
    only: str = ""


def advise_setup(client: str, mirror: Mirror, *options: str) -> str:
    """Return the command that points a client at a mirror."""
    words = ("entrepot", "setup", client, "--mirror", mirror.url, *options, "--write")
    return " ".join(words)


def split_address(text: str) -> tuple[str, str, int]:
    """Return scheme (empty if there is none), host and port (0: not written) of a URL or host."""
    parts = urlsplit(text if "://" in text else f"//{text}")
    try:
        port = parts.port or 0
    except ValueError:
        port = 0
    host = (parts.hostname or "").lower()
    if is_loopback(f"//{parts.netloc}"):
        host = "localhost"
    return parts.scheme, host, port or dict(_PORTS).get(parts.scheme, 0)


def is_mirror(text: str, mirror: Mirror) -> bool:
    """Whether a URL, or a host with or without a path, leads to the mirror by its own scheme."""
    scheme, host, port = split_address(text)
    if scheme and scheme != mirror.scheme:
        return False
    return (host, port or _find_usual(mirror)) == split_address(mirror.url)[1:]


def is_other_scheme(text: str, mirror: Mirror) -> bool:
    """Whether a URL leads to the host and port of the mirror, but by the other scheme."""
    scheme, host, port = split_address(text)
    own, own_host, own_port = split_address(mirror.url)
    return bool(scheme) and scheme != own and (host, port) == (own_host, own_port)


def _find_usual(mirror: Mirror) -> int:
    return dict(_PORTS)[mirror.scheme]


def list_texts(values: object) -> list[str]:
    """Return the texts of a list from a file; an empty list if the value is no list."""
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []


def describe_others(values: list[str]) -> str:
    """Return what is listed instead of the mirror, in words."""
    return ", ".join(values) if values else "none"
