"""The mirror that clients shall use: its address, its registries, and its secrets. Pure."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from registry.errors import MirrorAddressInvalid
from registry.oci.names import parse_registry

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,512}")
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n"
)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror as clients see it: `host` has the port too, if it is not that of the scheme.

    `registries` are the ones that it mirrors; `are_named` if the user has named them, and they are
    not all. `ca` has the certificates (PEM) of the authority that clients do not know yet, and
    `token` is a token of the mirror; both may be empty.
    """

    scheme: str
    host: str
    registries: tuple[str, ...]
    are_named: bool = False
    ca: str = ""
    token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The address without a path: `http://127.0.0.1:5000`."""
        return f"{self.scheme}://{self.host}"

    @property
    def is_plain(self) -> bool:
        """Whether it speaks HTTP without TLS."""
        return self.scheme == "http"

    @property
    def is_local(self) -> bool:
        """Whether it is reached only from its own machine."""
        return is_loopback(self.url)


def parse_mirror(
    url: str,
    registries: Sequence[str],
    *,
    are_named: bool = False,
    ca: str = "",
    token: str = "",
) -> Mirror:
    """Read what the user has said of a mirror.

    Raises:
        MirrorAddressInvalid: the URL, the certificate or the token cannot be used.
        NameInvalid: a registry is outside of its grammar.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        cure = f"write http://{url}, or https://{url} if the mirror has a certificate"
        raise MirrorAddressInvalid(url, "it has no scheme", cure)
    if scheme not in ("http", "https"):
        raise MirrorAddressInvalid(url, f"{scheme} is no scheme of a mirror", "write http or https")
    host = rest.removesuffix("/")
    if "/t/" in host:
        cure = "leave it out, and name a file with the token by --token-file"
        raise MirrorAddressInvalid(f"{scheme}://...", "it has a token in its path", cure)
    if _HOST.fullmatch(host) is None or not _has_port(f"{scheme}://{host}"):
        cure = "write a name or an address with a port, such as http://10.0.0.5:5000"
        raise MirrorAddressInvalid(url, "it is not the address of a mirror", cure)
    if token and _TOKEN.fullmatch(token) is None:
        cure = "write one token into it, as entrepot tokens add prints it"
        raise MirrorAddressInvalid("--token-file", "its content is not a token", cure)
    names = tuple(dict.fromkeys(parse_registry(each) for each in registries))
    return Mirror(scheme, host, names, are_named, read_certificates(ca) if ca else "", token)


def _has_port(url: str) -> bool:
    """Whether the port of a URL, if there is one, is a number that a port can have."""
    try:
        port = urlsplit(url).port
    except ValueError:
        return False
    return port is None or port > 0


def read_certificates(text: str) -> str:
    """Return the certificates in a PEM file, without any other text.

    Raises:
        MirrorAddressInvalid: there is no certificate, or there is a private key, which no client
            may get.
    """
    text = text.replace("\r\n", "\n")
    if "PRIVATE KEY" in text:
        cure = "name the file with the certificate only, such as ca.crt"
        raise MirrorAddressInvalid("--ca", "the file has a private key", cure)
    found = _CERTIFICATE.findall(text if text.endswith("\n") else f"{text}\n")
    if not found:
        cure = "name the certificate of the authority, such as ca.crt of entrepot tls self-signed"
        raise MirrorAddressInvalid("--ca", "the file has no certificate in PEM", cure)
    return "".join(found)


def is_loopback(url: str) -> bool:
    """Whether only programs on the same machine reach the host of a URL."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
