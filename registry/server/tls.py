"""TLS: the server's certificate, and the check of all certificate files before the start."""

import ssl

from registry.errors import SettingsError
from registry.settings.model import ServerSettings, Settings
from registry.wiring.pulls import check_ca_files


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
