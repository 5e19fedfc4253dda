"""Which settings file is read, and which folders relative paths belong to.

Decision record 0024 has the reasons. A command finds the same data folder from every folder that it
is called in, unless that folder has a settings file of its own.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import SettingsError

FILE_VARIABLE = "ENTREPOT_CONFIG"
# The folder of the checkout that this code is in; after an installation, a folder of libraries.
PROJECT = Path(__file__).resolve().parents[2]
SYSTEM_FILE = Path("/etc/entrepot/entrepot.toml")
SYSTEM_DATA = Path("/var/lib/entrepot")
_LOCAL, _SHIPPED = Path("entrepot.toml"), Path("config/entrepot.toml")
_NO_PLACE = ("/dev", "/proc", "/run")  # a file that is here says nothing about where data belongs
_LAYOUT = "LAYOUT"  # the file that makes a folder a data folder


@dataclass(frozen=True, slots=True)
class DataPlace:
    """The absolute path of the data folder, and what the operator should know about it."""

    path: Path
    note: str = ""


def find_config(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to load; None means that only the defaults apply.

    It is `config`, or the file that ENTREPOT_CONFIG names, both as an absolute path, or the first
    of the usual files that exists (`list_usual_files`).

    Raises:
        SettingsError: the named file does not exist, or its folder or that of the system's file
            cannot be read.
    """
    key, path = "--config", config
    if path is None and environ.get(FILE_VARIABLE):
        key, path = FILE_VARIABLE, Path(environ[FILE_VARIABLE])
    try:
        if path is None:
            return next((usual for usual in list_usual_files(environ) if _is_usual(usual)), None)
        if path.exists():
            return make_absolute(path)
    except OSError as error:
        raise refuse_unreadable(str(path or error.filename), error) from error
    raise SettingsError(
        key, f"there is no file {str(path.absolute())!r}", "name an existing TOML file"
    )


def make_absolute(path: Path) -> Path:
    """Return an absolute path without `..`; only links before a `..` are followed."""
    parts = path.absolute().parts
    end = max((at for at, part in enumerate(parts, 1) if part == ".."), default=0)
    # Before a `..`, a link has to be followed: what is above its target is meant.
    return Path(os.path.realpath(Path(*parts[:end])), *parts[end:]) if end else Path(*parts)


def _is_usual(file: Path) -> bool:
    # The current folder and the home folder may be another user's, as with `sudo -u entrepot`.
    return file.exists() if file == SYSTEM_FILE else _exists(file)


def refuse_unreadable(key: str, error: OSError) -> SettingsError:
    """Return the error about a file of settings that the operating system refused to read."""
    why = f"cannot be read ({error.strerror})"
    return SettingsError(key, why, "let the user that runs entrepot read it, or name another file")


def list_usual_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that are looked for, the first one first.

    A file of the operator comes before the `config/entrepot.toml` of a checkout, which only states
    the defaults. Outside of checkouts, that file in the current folder comes second, as it did in
    version 0.1. In a checkout it is the template of that checkout, which says nothing about an
    Entrepôt that is installed elsewhere.
    """
    yield _LOCAL
    if not _is_checkout(find_current_folder()):
        yield _SHIPPED
    if _is_checkout():
        yield PROJECT / _LOCAL
    yield _find_user_folder(environ, "XDG_CONFIG_HOME", ".config") / _LOCAL
    yield SYSTEM_FILE
    if _is_checkout():
        yield PROJECT / _SHIPPED


def find_own_file(environ: Mapping[str, str]) -> Path:
    """Return the file for the settings of the operator, which `list_usual_files` has too.

    It is `entrepot.toml` in the checkout, which git ignores; of an installed Entrepôt the file in
    /etc for root, and the file in the folder of the user's settings for others.
    """
    if _is_checkout():
        return PROJECT / _LOCAL
    if os.geteuid() == 0:
        return SYSTEM_FILE
    return _find_user_folder(environ, "XDG_CONFIG_HOME", ".config") / _LOCAL


def is_shipped(file: Path) -> bool:
    """Whether `file` is the `config/entrepot.toml` of the checkout that this code is in."""
    return _is_checkout() and file.absolute() == PROJECT / _SHIPPED


def find_base(file: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the absolute folder that a relative `storage.path` of the settings belongs to."""
    folder = file.absolute().parent if file else None
    if folder is None or any(folder.is_relative_to(each) for each in _NO_PLACE):
        is_root = os.geteuid() == 0
        return SYSTEM_DATA if is_root else _find_user_data(environ)
    if folder.is_relative_to("/etc"):
        return SYSTEM_DATA
    if folder == _find_user_folder(environ, "XDG_CONFIG_HOME", ".config"):
        return _find_user_data(environ)
    return folder.parent if folder.name == "config" else folder


def place_data(path: Path, base: Path) -> DataPlace:
    """Return the data folder that `path` means, which is relative to `base`.

    In version 0.1 it was relative to the current folder. A data folder that is there is used if
    there is none at the new place, unless a settings file in the current folder owns it.
    """
    found, former = make_absolute(base / path), make_absolute(find_current_folder() / path)
    if former == found or not _is_data_folder(former):
        return DataPlace(found)
    is_owned = any(_exists(find_current_folder() / file) for file in (_LOCAL, _SHIPPED))
    if is_owned or _is_data_folder(found, if_closed=True):
        return DataPlace(found, f"{former} is a data folder too; {found} is used")
    return DataPlace(
        former,
        f"{former} is used, because an earlier version kept its data there; to call this command"
        f' from other folders, set storage.path = "{former}", or move the data to {found}',
    )


def find_current_folder() -> Path:
    """Return the current folder, or the root folder if the current one was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def place_files(document: Mapping[str, Any], file: Path) -> None:
    """Make the relative paths of certificates, keys, passwords and lists in `document` absolute.

    They are relative to the folder of `file`. In version 0.1 they were relative to the current
    folder; a file that is there, and not at the new place, stays as it is written.
    """
    folder = file.absolute().parent
    server, bundles = document.get("server", {}), document.get("bundles", {})
    upstreams = document.get("upstreams", {}).values()
    tables = [(server, key) for key in ("tls_cert", "tls_key", "client_ca")]
    tables += [(each, key) for each in upstreams for key in ("ca_file", "password_file")]
    for table, key in tables:
        if key in table:
            table[key] = _place_file(table[key], folder)
    if isinstance(keys := bundles.get("keys"), list):
        bundles["keys"] = [_place_file(each, folder) for each in keys]
    for prefetch in document.get("prefetch", []):
        if isinstance(lists := prefetch.get("lists"), list):
            prefetch["lists"] = [_place_file(each, folder) for each in lists]


def _place_file(value: object, folder: Path) -> object:
    if not isinstance(value, str) or not value or Path(value).is_absolute():
        return value  # the models refuse what is no text
    found = make_absolute(folder / value)
    return value if _exists(Path(value)) and not _exists(found, if_closed=True) else str(found)


def _is_checkout(folder: Path | None = None) -> bool:
    """Whether `folder` is a checkout of Entrepôt; without one, whether this code is in one."""
    folder = folder or PROJECT
    return all(_exists(folder / part) for part in ("pyproject.toml", "registry", _SHIPPED))


def _is_data_folder(path: Path, *, if_closed: bool = False) -> bool:
    """Whether `path` has a LAYOUT file; `if_closed` if this user must not look into the folder."""
    return _exists(path / _LAYOUT, if_closed=if_closed)


def _exists(path: Path, *, if_closed: bool = False) -> bool:
    """Whether there is such a file; `if_closed` if this user must not look into its folder."""
    try:
        return path.exists()
    except OSError:
        return if_closed


def _find_user_data(environ: Mapping[str, str]) -> Path:
    return _find_user_folder(environ, "XDG_DATA_HOME", ".local/share")


def _find_user_folder(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    """Return our folder for a kind of files of this user (XDG Base Directory Specification)."""
    named = Path(environ.get(variable, ""))
    if not named.is_absolute():  # the specification says that relative paths are ignored
        named = Path(environ.get("HOME") or "/") / usual
    return named / "entrepot"
