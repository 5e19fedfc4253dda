"""The files that settings name: certificates and keys have to exist, and passwords are read."""

from dataclasses import replace
from pathlib import Path

from registry.errors import SettingsError
from registry.settings.model import Settings
from registry.settings.named_files import read_first
from registry.settings.secret import Secret
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import format_key

_MAX_SECRET = 64 * 1024  # bytes; a larger file is not a secret


def read_files(settings: Settings) -> Settings:
    """Return the settings with the passwords from their files.

    Raises:
        SettingsError: a file does not exist, or is no password.
    """
    for key in ("tls_cert", "tls_key", "client_ca"):
        _check_file(f"server.{key}", getattr(settings.server, key))
    for path in settings.bundles.keys:
        _check_file("bundles.keys", path)
    upstreams = {name: _read_secret(name, found) for name, found in settings.upstreams.items()}
    return replace(settings, upstreams=upstreams)


def _check_file(key: str, path: str) -> None:
    if path and not Path(path).is_file():
        cure = "name an existing PEM file"
        if key.startswith("server."):
            cure = f"{cure}, or make one: entrepot tls self-signed"
        raise SettingsError(key, f"there is no file {path!r}", cure)


def _read_secret(name: str, upstream: UpstreamSettings) -> UpstreamSettings:
    _check_file(format_key(("upstreams", name, "ca_file")), upstream.ca_file)
    key = format_key(("upstreams", name, "password_file"))
    if bool(upstream.username) != bool(upstream.password_file):
        raise SettingsError(key, "username and password_file go together", "write both, or neither")
    if not upstream.password_file:
        return upstream
    cure = "put the password or access token into it and let the user that runs entrepot read it"
    try:
        content = read_first(Path(upstream.password_file), _MAX_SECRET + 1)
        password = content.decode().strip()
    except OSError as error:
        why = f"{upstream.password_file!r} cannot be read ({error.strerror})"
        raise SettingsError(key, why, cure) from error
    except UnicodeDecodeError as error:
        raise SettingsError(key, f"{upstream.password_file!r} is not text", cure) from error
    if not password or len(content) > _MAX_SECRET:
        raise SettingsError(key, f"{upstream.password_file!r} is empty or not a secret", cure)
    return replace(upstream, password=Secret(password))
