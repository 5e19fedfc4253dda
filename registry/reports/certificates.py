"""The reports of `entrepot tls`. Times are epoch seconds; no key is in them, only its path."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate for a server with the names and addresses `hosts`.

    `authority` is the file that clients need; `has_new_authority` says whether it was made now.
    `is_for_root` says whether only root can read the key.
    """

    authority: Path
    authority_expires: float
    has_new_authority: bool
    certificate: Path
    key: Path
    hosts: tuple[str, ...]
    expires: float
    is_for_root: bool


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that says that a client is the user `name`."""

    name: str
    authority: Path
    certificate: Path
    key: Path
    expires: float
