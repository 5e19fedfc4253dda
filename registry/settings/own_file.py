"""Changing an upstream in the settings file of the operator, of which a copy is kept."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from registry.errors import SettingsError
from registry.settings.changes import list_changes
from registry.settings.configuration import Configuration
from registry.settings.loading import load_configuration
from registry.settings.new_file import build_text
from registry.settings.places import FILE_VARIABLE, find_own_file, is_shipped
from registry.settings.text_edit import Change, set_values
from registry.settings.values import Refusal, format_key

_FORMER = ".former"  # ends the name of the copy


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """The settings file that was written; `former` is the copy of what it was (None: it is new)."""

    file: Path
    former: Path | None


def find_changeable(configuration: Configuration, environ: Mapping[str, str]) -> Path:
    """Return the file that `set_upstream` changes: that of the operator, which may be missing."""
    if configuration.file is not None and configuration.is_own:
        return configuration.file
    return find_own_file(environ).absolute()


def set_upstream(
    config: Path | None, environ: Mapping[str, str], upstream: str, changes: Sequence[Change]
) -> ChangedFile:
    """Write settings of an upstream into the settings file that `config` and `environ` mean.

    The other lines of the file stay as they are. Without a file of the operator, a new one is
    written, with all other values commented out. The new file is loaded before it takes the place
    of the former one: if anything but these settings would change, nothing is written.

    Raises:
        Refusal: the file cannot be changed so; it says why.
        SettingsError: the settings cannot be used, before or after the change.
        OSError: the disk refused.
    """
    former = load_configuration(config, environ)
    file = find_changeable(former, environ)
    is_named = config is not None or environ.get(FILE_VARIABLE)
    if is_named and former.file is not None and is_shipped(former.file):
        raise Refusal(
            f"{former.file} only states the defaults", "name a file of your own with --config"
        )
    is_new = not file.exists()
    text = build_text() if is_new else file.read_bytes().decode("utf-8")
    mark = text[:1] if text.startswith("\ufeff") else ""
    changed = mark + set_values(text.removeprefix(mark), ("upstreams", upstream), changes)
    missing = [each for each in file.parents if not each.exists()]  # the innermost first
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _write_beside(file, changed) as written:
            _check(written, former, environ, upstream, [each.key for each in changes])
        # A link stays a link, and what it leads to is changed.
        return _put(Path(os.path.realpath(file)), changed, is_new=is_new)
    except BaseException:
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise


@contextmanager
def _write_beside(file: Path, text: str) -> Iterator[Path]:
    """Write a file beside the settings file, and delete it at the end if it is still there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _put(file: Path, text: str, *, is_new: bool) -> ChangedFile:
    """Let the text take the place of a file, with its mode and owner, and keep a copy of it."""
    with _write_beside(file, text) as written:
        if is_new:
            written.chmod(0o644)
            os.link(written, file)  # which fails if somebody else has made one just now
            return ChangedFile(file, None)
        state = file.stat()
        written.chmod(state.st_mode & 0o7777)
        if (state.st_uid, state.st_gid) != (written.stat().st_uid, written.stat().st_gid):
            os.chown(written, state.st_uid, state.st_gid)
        copy = _find_free(file)
        shutil.copy2(file, copy)
        written.replace(file)
        return ChangedFile(file, copy)


def _check(
    written: Path,
    former: Configuration,
    environ: Mapping[str, str],
    upstream: str,
    keys: Sequence[str],
) -> None:
    """Load the new file, and refuse it if another setting than these of the upstream changes."""
    try:
        settings = load_configuration(written, environ).settings
    except SettingsError as error:
        raise SettingsError(error.key, error.why, error.cure) from error
    for name in (format_key(("upstreams", upstream, key)) for key in keys):
        if variable := former.origins.variables.get(name):
            why = f"the variable {variable} sets {name}"
            raise Refusal(why, f"unset {variable}, or change it")
    if upstream not in former.settings.upstreams:
        return
    kept = {key: getattr(former.settings.upstreams[upstream], key) for key in keys}
    same = replace(settings.upstreams[upstream], **kept)
    restored = replace(settings, upstreams={**settings.upstreams, upstream: same})
    others = list_changes(former.settings, restored)
    if others:
        raise Refusal(f"other settings would change too ({'; '.join(others)})", "change it by hand")


def _find_free(file: Path) -> Path:
    """Return a name for the copy that no file has."""
    copy, number = file.with_name(f"{file.name}{_FORMER}"), 1
    while copy.exists():
        number += 1
        copy = file.with_name(f"{file.name}{_FORMER}-{number}")
    return copy
