"""`hosts.toml`, which containerd and what is built on it read at each pull. Pure."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from registry.clients.edits import Edit, SetValue
from registry.clients.mirror import Mirror
from registry.clients.plan import FileEdits, Reader

_NAME = "hosts.toml"
_IN_FOLDERS = (_NAME, "ca.crt")  # either of them shows that a registry has a folder
_ALL = "_default"  # the folder for all registries that have no folder of their own
PULLING = ("pull", "resolve")


def list_hosts_files(
    mirror: Mirror,
    folder: PurePosixPath,
    capabilities: tuple[str, ...],
    ca: PurePosixPath,
    read: Reader,
) -> tuple[FileEdits, ...]:
    """Return the files in `folder` (`certs.d`) that lead to a mirror.

    If no registries were named, it is the one for all registries, and one for each registry with a
    folder of its own: for these, the one for all is not read. `ca` is the path of the certificate
    of the mirror's authority.
    """
    edits = _list_edits(mirror, capabilities, ca)
    names: Sequence[str] = mirror.registries
    if not mirror.are_named:
        own = [name for name in mirror.registries if _has_folder(folder / name, read)]
        names = [_ALL, *own]
    return tuple(
        FileEdits(folder / name / _NAME, "toml", edits, bool(mirror.token)) for name in names
    )


def _has_folder(folder: PurePosixPath, read: Reader) -> bool:
    return any(read(folder / name) is not None for name in _IN_FOLDERS)


def _list_edits(
    mirror: Mirror, capabilities: tuple[str, ...], ca: PurePosixPath
) -> tuple[Edit, ...]:
    # The hosts are asked in the order of the file.
    host = ("host", mirror.url)
    edits = [SetValue((*host, "capabilities"), capabilities, is_first=True)]
    if mirror.ca:
        edits.append(SetValue((*host, "ca"), str(ca)))
    if mirror.token:
        edits.append(SetValue((*host, "header", "Authorization"), f"Bearer {mirror.token}"))
    return tuple(edits)


def format_hosts_file(mirror: Mirror, ca: PurePosixPath) -> FileEdits:
    """Return the file for all registries, without a folder: for machines that are not this one."""
    return FileEdits(PurePosixPath(_NAME), "toml", _list_edits(mirror, PULLING, ca))
