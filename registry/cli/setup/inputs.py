"""Reading what the user says of the mirror, and what the settings of this machine say."""

import os
from collections.abc import Sequence
from pathlib import Path

from registry.clients.mirror import Mirror, parse_mirror
from registry.errors import FileUnreadable, MirrorAddressInvalid
from registry.settings.loading import load_settings
from registry.settings.model import ServerSettings
from registry.settings.upstreams import builtin_upstreams

_ANY = ("0.0.0.0", "::")  # noqa: S104 (addresses at which a server is reached by every other one)


def read_mirror(
    url: str, registries: str, ca: Path | None, token_file: Path | None, config: Path | None
) -> Mirror:
    """Return the mirror that is named, or else the one of the settings.

    Raises:
        SettingsError: the settings cannot be used.
        MirrorAddressInvalid: what is said of the mirror cannot be used.
        NameInvalid: a registry is outside of its grammar.
        FileUnreadable: a file that is named cannot be read.
    """
    known: Sequence[str] = tuple(builtin_upstreams())
    if not url:
        settings = load_settings(config, os.environ)
        url, known = _find_url(settings.server), tuple(settings.upstreams)
    named = [each.strip() for each in registries.split(",") if each.strip()]
    return parse_mirror(
        url,
        named or known,
        are_named=bool(named),
        ca=_read(ca, "name a certificate in PEM"),
        token=_read(token_file, "name a file with a token").strip(),
    )


def _find_url(server: ServerSettings) -> str:
    """Return the address by which clients of this machine reach its mirror."""
    listen = server.listen
    if not listen.port:
        cure = "name the address of the mirror by --mirror"
        raise MirrorAddressInvalid("server.listen", "it has no fixed port", cure)
    host = "127.0.0.1" if listen.host in _ANY else listen.host
    bracketed = f"[{host}]" if ":" in host else host
    return f"{'https' if server.tls_cert else 'http'}://{bracketed}:{listen.port}"


def _read(path: Path | None, cure: str) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileUnreadable(str(path), error, cure) from error
    except ValueError as error:
        raise MirrorAddressInvalid(str(path), "it is not a text", cure) from error
