"""How each client is pointed at this mirror, in the address of this mirror. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from registry.clients.mirror import is_loopback

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?"
)
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - the addresses that mean all


@dataclass(frozen=True, slots=True)
class MirrorAddress:
    """Where clients reach the mirror: `host` with the port, if that is not the usual one."""

    scheme: str
    host: str

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"{self.scheme}://{self.host}"

    @property
    def port(self) -> int:
        """The port."""
        return urlsplit(self.url).port or (443 if self.scheme == "https" else 80)

    @property
    def is_plain(self) -> bool:
        """Whether it speaks HTTP without TLS."""
        return self.scheme == "http"

    @property
    def is_local(self) -> bool:
        """Whether only programs on the same machine reach it."""
        return is_loopback(self.url)


def find_address(listen: tuple[str, int], *, has_tls: bool, asked: str) -> MirrorAddress:
    """Return where clients reach a mirror that listens at `listen`, which is a host and a port.

    If it listens at all addresses of its machine, `asked` says which of them a browser has used: it
    is the Host of a request to the console.
    """
    host, port = listen
    if host in _EVERYWHERE:
        host = read_host(asked, "127.0.0.1").rpartition(":")[0] or read_host(asked, "127.0.0.1")
    elif ":" in host:
        host = f"[{host}]"
    return MirrorAddress("https" if has_tls else "http", f"{host}:{port}")


def read_host(text: str, otherwise: str) -> str:
    """Return the value of a Host header, if it is the name or address of a host."""
    return text if _HOST.fullmatch(text) else otherwise


@dataclass(frozen=True, slots=True)
class FileText:
    """A file of a client, and what it shall contain."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class ClientSetup:
    """What one client needs: files, then commands; `checks` are commands that show that it works.

    `notes` are sentences that its user should know.
    """

    client: str
    title: str
    files: Sequence[FileText]
    commands: Sequence[str]
    checks: Sequence[str]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class SetupReport:
    """The address of the mirror, and what each client needs.

    `is_local` says that only programs on the machine of the mirror reach this address.
    """

    url: str
    port: int
    is_local: bool
    clients: Sequence[ClientSetup]
