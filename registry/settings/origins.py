"""Where each setting was written, for errors: in a line of the file, or in a variable."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from registry.errors import SettingsError
from registry.settings.values import format_key

_ASSIGNMENT = re.compile(r"([^=#\[]+)=")


@dataclass(frozen=True, slots=True)
class Origins:
    """The absolute path of a settings file and its text; `variables` has variables by setting.

    Settings have the form of `format_key`. Without a file the path is None.
    """

    file: Path | None = None
    text: str = field(default="", repr=False)  # it may contain a secret by mistake
    variables: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def name_faults(self) -> Iterator[None]:
        """In errors about settings, name where the setting was written, if that is known.

        Raises:
            SettingsError: the block has raised it.
        """
        try:
            yield
        except SettingsError as error:
            located = self._locate(error)
            if located is error:
                raise
            raise located from error

    def _locate(self, error: SettingsError) -> SettingsError:
        key, why, cure = error.key, error.why, error.cure
        if variable := self.variables.get(key):
            why = why if why.startswith(variable) else f"{variable}: {why}"
            return SettingsError(key, why, cure)
        line = None if self.file is None else find_line(self.text, key)
        if line is not None:
            return SettingsError(key, why, cure, f"{self.file}:{line}")
        # The default of the data folder is relative to the file, even if the file does not name it.
        if self.file is not None and key == "storage.path" and not error.file:
            return SettingsError(key, why, cure, str(self.file))
        return error


def find_line(text: str, key: str) -> int | None:
    """Return the line of a TOML document that has a setting; else that of its table; else None.

    Of a table of tables, such as `upstreams`, it is the line of the first one.
    Lines within texts of several lines are not told apart: a wrong line is only a worse hint.
    """
    lines = dict(_list_lines(text))
    tables = sorted((each for each in lines if key.startswith(f"{each}.")), key=len)
    inner = [each for each in lines if each.startswith(f"{key}.")]
    found = [*tables, *inner[-1:], key]
    return next((lines[each] for each in reversed(found) if each in lines), None)


def _list_lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield each setting and table with its line, the last line first: the first one counts."""
    table, found = "", []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            table = _read_key(line) or table
            found.append((table, number))
        elif assigned := _ASSIGNMENT.match(line):
            key = _read_key(f"{assigned[1]} = 0")
            found.append((f"{table}.{key}" if table else key, number))
    yield from reversed(found)


def _read_key(line: str) -> str:
    """Return the key of the only table or setting in a line of TOML; empty if it has none."""
    import tomllib  # noqa: PLC0415 - a server needs it only for an error

    parts = []
    try:
        value: object = tomllib.loads(line)
    except ValueError:
        return ""
    while isinstance(value, dict) and len(value) == 1:
        (name,) = value
        parts.append(name)
        value = value[name]
    return format_key(parts)
