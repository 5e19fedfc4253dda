"""TLS: the server's certificate, the check of certificate files, and one client's connection."""

import asyncio
import ssl
from asyncio import sslproto
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from registry.errors import SettingsError
from registry.settings.model import Settings
from registry.settings.named_files import check_readable
from registry.wiring.sources import check_ca_files

_OTHER_KEY = "KEY_VALUES_MISMATCH"  # OpenSSL's word for a key of another certificate


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """The PEM files of a server: `client_ca` is empty if clients are not asked for certificates."""

    certificate: str
    key: str
    client_ca: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the files that the settings name; None for plain HTTP.

        Without users, a certificate proves nothing, so that clients are not asked for one.
        """
        server = settings.server
        if not server.tls_cert:
            return None
        has_users = settings.access.mode == "users"
        return cls(server.tls_cert, server.tls_key, server.client_ca if has_users else "")

    def list_paths(self) -> Iterator[Path]:
        """Yield the paths of all files."""
        yield from (Path(each) for each in (self.certificate, self.key, self.client_ca) if each)

    @property
    def authorities(self) -> Mapping[str, Path]:
        """The authorities of clients, by the setting that names them."""
        return {"server.client_ca": Path(self.client_ca)} if self.client_ca else {}

    @property
    def servers(self) -> Mapping[str, Path]:
        """The certificate of the server, by the setting that names it."""
        return {"server.tls_cert": Path(self.certificate)}


def check_files(settings: Settings) -> None:
    """Read the files that the settings name, so that a mistake is found before the start.

    Raises:
        SettingsError: a certificate, a key or a `ca_file` cannot be read.
    """
    files = TLSFiles.of(settings)
    if files is not None:
        load_tls(files)
    check_ca_files(settings)


def load_tls(files: TLSFiles) -> ssl.SSLContext:
    """Return a TLS context for TLS 1.2 and newer.

    Raises:
        SettingsError: a file cannot be read, or the files do not fit together.
    """
    named = {"tls_cert": files.certificate, "tls_key": files.key, "client_ca": files.client_ca}
    for key, path in named.items():
        if path:
            check_readable(f"server.{key}", path)  # OpenSSL does not say which it could not read
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client is who it was at the beginning of its connection.
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")  # nosec B106
    except OSError as error:
        raise _explain(files, error) from error
    if files.client_ca:
        _ask_for_certificates(context, files.client_ca)
    return context


def _explain(files: TLSFiles, error: OSError) -> SettingsError:
    both = f"{files.certificate} and {files.key}"
    if isinstance(error, ssl.SSLError) and error.reason == _OTHER_KEY:
        why = f"{both} do not belong together: the key is of another certificate"
        return SettingsError("server.tls_cert", why, "put the key beside its own certificate")
    why = f"{both} cannot be used ({error.strerror or error})"
    cure = "give a PEM certificate chain and its unencrypted key"
    return SettingsError("server.tls_cert", why, cure)


def _ask_for_certificates(context: ssl.SSLContext, client_ca: str) -> None:
    """Verify the certificates of clients, of which many have none.

    Raises:
        SettingsError: the file has no certificate.
    """
    try:
        context.load_verify_locations(cafile=client_ca)
    except OSError as error:
        why = f"{client_ca} cannot be used ({error.strerror or error})"
        cure = "give the PEM certificate of the authority that signs those of your clients"
        raise SettingsError("server.client_ca", why, cure) from error
    context.verify_mode = ssl.CERT_OPTIONAL


class ClientTLS(sslproto.SSLProtocol):
    """asyncio's TLS on one connection, which reads into a buffer that all connections share.

    asyncio would keep 256 KiB for each connection, also for one that stops in its handshake. Bytes
    are copied from the buffer at once. asyncio would also close a connection whose handshake fails
    without the alert that tells the client why.

    This class relies on these facts of `asyncio.sslproto` (Python 3.11 to 3.13): bytes are received
    into what `get_buffer` returns, and are read from `_ssl_buffer_view`; the constructor allocates
    `max_size` bytes; `_process_outgoing` sends what OpenSSL has written.
    """

    max_size = 1

    def __init__(
        self,
        inner: asyncio.BufferedProtocol,
        context: ssl.SSLContext,
        waiter: asyncio.Future[Any],
        read_buffer: memoryview,
    ) -> None:
        """`waiter` is set when the handshake is over; whoever starts it limits its time."""
        super().__init__(asyncio.get_running_loop(), inner, context, waiter, server_side=True)
        self._ssl_buffer_view = read_buffer

    def get_buffer(self, n: int) -> memoryview:  # noqa: ARG002 - a hint of asyncio
        """See asyncio.BufferedProtocol."""
        return self._ssl_buffer_view

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if handshake_exc is not None:
            self._process_outgoing()  # type: ignore[attr-defined]  # no type is published
        super()._on_handshake_complete(handshake_exc)
