"""The folder of an authority: its certificate and key, and those of what it has signed."""

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from registry.access.certificates import Authority, SignedPair, parse_host
from registry.errors import AuthorityInvalid
from registry.oci.account_names import check_name
from registry.store.files import make_folder, sync_folder, translate_errors, write_durably

CERTIFICATE, KEY = "ca.crt", "ca.key"
SERVER, SERVER_KEY = "server.crt", "server.key"
CLIENTS = "clients"  # a folder, as a user may be called `ca` or `server`
_MOST_MODE = 0o640  # of a key: its owner and its group may read it
HERE = ("localhost", "127.0.0.1", "::1")  # names that a server has in every case


@dataclass(frozen=True, slots=True)
class WrittenPair:
    """The files of a certificate that ends at `expires` (epoch seconds), and of its key."""

    certificate: Path
    key: Path
    expires: float


class AuthorityFolder:
    """Makes an authority once, and then signs with it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    @property
    def certificate(self) -> Path:
        """The file that clients need."""
        return self._path / CERTIFICATE

    @staticmethod
    def list_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
        """Return the names and addresses of a server: `hosts`, and those of its own machine.

        Raises:
            HostInvalid: one of `hosts` is neither a name nor an address.
        """
        return tuple(dict.fromkeys(str(parse_host(each).value) for each in (*hosts, *HERE)))

    @staticmethod
    def is_for_root(key: Path) -> bool:
        """Whether only root can read a key.

        Raises:
            StoreError: it cannot be found.
        """
        with translate_errors(key):
            state = key.stat()
        return state.st_uid == 0 and not state.st_mode & stat.S_IRGRP

    def open(self) -> Authority:
        """Return the authority.

        Raises:
            AuthorityInvalid: it is missing, damaged, or has ended.
            StoreError: a file cannot be read.
        """
        content = [self._read(name) for name in (CERTIFICATE, KEY)]
        if None in content:
            missing = CERTIFICATE if content[0] is None else KEY
            cure = "run: entrepot tls self-signed"
            if any(content):
                cure = "put it back, or name another folder with --out, where a new one is made"
            raise AuthorityInvalid(str(self._path / missing), "it is missing", cure)
        cure = "name another folder with --out, where a new one is made; all clients need it"
        try:
            authority = Authority.parse(*(each or b"" for each in content))
        except ValueError as error:
            raise AuthorityInvalid(str(self.certificate), str(error), cure) from error
        if authority.expires <= self._clock():
            raise AuthorityInvalid(str(self.certificate), "it has expired", cure)
        return authority

    def open_or_make(self) -> tuple[Authority, bool]:
        """Return the authority, and whether it was made now; an existing file is never replaced.

        Raises:
            AuthorityInvalid, StoreError: as for `open`, or the disk refused.
        """
        if any((self._path / name).exists() for name in (CERTIFICATE, KEY)):
            return self.open(), False
        authority = Authority.make(self._clock())
        written = authority.write()
        with translate_errors(self._path):
            make_folder(self._path)
            _write_new(self._path / KEY, written.key, 0o600)
            _write_new(self._path / CERTIFICATE, written.certificate, 0o644)
            sync_folder(self._path)
        return authority, True

    def sign_server(self, authority: Authority, hosts: Iterable[str]) -> WrittenPair:
        """Write a new certificate for a server with these names and addresses, and its key.

        A running server uses the pair as soon as both files are there.

        Raises:
            HostInvalid: one of `hosts` is neither a name nor an address.
            StoreError: the disk refused.
        """
        names = [parse_host(host) for host in hosts]
        return self._write(authority.sign_server(names, self._clock()), SERVER, SERVER_KEY)

    def sign_client(self, name: str) -> WrittenPair:
        """Write a certificate that says that a client is the user `name`, and its key.

        A former one is replaced here, but can be used until it ends.

        Raises:
            InvalidInput: the name cannot be that of a user.
            AuthorityInvalid, StoreError: as for `open`, or the disk refused.
        """
        check_name(name)
        signed = self.open().sign_client(name, self._clock())
        # Docker and podman take a file whose name ends with .crt for an authority.
        return self._write(signed, f"{CLIENTS}/{name}.cert", f"{CLIENTS}/{name}.key")

    def _read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it does not exist."""
        path = self._path / name
        with translate_errors(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def _write(self, signed: SignedPair, certificate: str, key: str) -> WrittenPair:
        written = WrittenPair(self._path / certificate, self._path / key, signed.expires)
        with translate_errors(self._path):
            make_folder(written.key.parent)
            _replace_key(written.key, signed.key)
            write_durably(written.certificate, signed.certificate)
        return written


def _replace_key(path: Path, key: bytes) -> None:
    """Write a key. It stays with the owner and the group that have the former one.

    So a key that root renews can be read by the service that has read the former one.

    Raises:
        OSError: the disk refused.
    """
    former = path.stat() if path.exists() else None
    write_durably(path, key, is_secret=True)
    if former is not None and os.geteuid() == 0:
        os.chown(path, former.st_uid, former.st_gid)
        path.chmod(former.st_mode & _MOST_MODE)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that does not exist yet; nobody can have opened it with another mode before.

    Raises:
        OSError: it exists, or the disk refused.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
