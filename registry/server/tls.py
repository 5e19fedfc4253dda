"""TLS: the server's certificate, and the check of all certificate files before the start."""

import asyncio
import ssl
from asyncio import sslproto
from typing import Any

from registry.errors import SettingsError
from registry.settings.model import ServerSettings, Settings
from registry.settings.named_files import check_readable
from registry.wiring.sources import check_ca_files


def check_files(settings: Settings) -> None:
    """Read the files that the settings name, so that a mistake is found before the start.

    Raises:
        SettingsError: a certificate, a key or a `ca_file` cannot be read.
    """
    load_tls(settings.server)
    check_ca_files(settings)


def load_tls(server: ServerSettings) -> ssl.SSLContext | None:
    """Return the server's TLS context; None for plain HTTP.

    Raises:
        SettingsError: the certificate or key cannot be read.
    """
    if not server.tls_cert:
        return None
    for key, path in (("tls_cert", server.tls_cert), ("tls_key", server.tls_key)):
        check_readable(f"server.{key}", path)  # OpenSSL does not say which it could not read
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(server.tls_cert, server.tls_key, password="")
    except OSError as error:
        raise SettingsError(
            "server.tls_cert",
            f"{server.tls_cert} and {server.tls_key} cannot be used ({error.strerror or error})",
            "give a PEM certificate chain and its unencrypted key",
        ) from error
    return context


class ClientTLS(sslproto.SSLProtocol):
    """asyncio's TLS on one connection, which reads into a buffer that all connections share.

    asyncio would keep 256 KiB for each connection, also for one that stops in its handshake. Bytes
    are copied from the buffer at once.

    This class relies on these facts of `asyncio.sslproto` (Python 3.11 to 3.13): bytes are received
    into what `get_buffer` returns, and are read from `_ssl_buffer_view`; the constructor allocates
    `max_size` bytes.
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
