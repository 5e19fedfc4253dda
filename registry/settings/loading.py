"""Loading the settings from the TOML file, the environment and the secret files.

The environment overrides the TOML file, which overrides the defaults. pydantic-settings is not
used: it cannot match `ENTREPOT_UPSTREAMS__GHCR_IO__PROXY` with an upstream that only the file
names, it ignores unknown variables, and its errors do not say what to write.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from pydantic import ValidationError

from registry.errors import SettingsError
from registry.settings.configuration import Configuration
from registry.settings.faults import (
    Place,
    advise_syntax,
    describe_fault,
    find_model,
    list_places,
    name_nearest,
)
from registry.settings.model import Settings
from registry.settings.named_files import read_first
from registry.settings.origins import Origins
from registry.settings.places import (
    FILE_VARIABLE,
    find_base,
    find_config,
    find_current_folder,
    place_data,
    place_files,
    refuse_unreadable,
)
from registry.settings.secret_files import read_files
from registry.settings.tables import read_table
from registry.settings.upstreams import builtin_upstreams
from registry.settings.values import MASK, format_key, parse_list, parse_table

PREFIX = "ENTREPOT_"
# Kubernetes sets these variables in every pod of a namespace with a Service called "entrepot".
_FOREIGN = re.compile(r"ENTREPOT_(SERVICE_(HOST|PORT(_[^_].*)?)|PORT(_[0-9]+_.*)?)")
_LEAST_LIMIT = 1000**2  # bytes; less than that has a unit, or was meant in one
_MAX_DOCUMENT = 4 * 1024**2  # bytes of a file of settings


def load_settings(config: Path | None, environ: Mapping[str, str]) -> Settings:
    """Load the settings as `load_configuration` does.

    Raises:
        SettingsError: a setting cannot be used; the error is about the first of them.
    """
    return load_configuration(config, environ).settings


def load_configuration(config: Path | None, environ: Mapping[str, str]) -> Configuration:
    """Load the settings from the file of `find_config`, from `environ`, and from secret files.

    All paths of folders are absolute. Relative paths in a file are relative to its folder
    (`place_files`), `storage.path` is relative to the folder of `find_base`, and those in `environ`
    are relative to the current folder.

    Raises:
        SettingsError: a setting cannot be used; the error is about the first of them.
    """
    path = find_config(config, environ)
    text = _read_text(path) if path else ""
    document = _parse(text, path) if path else {}
    file = path.absolute() if path else None
    origins = Origins(file, text)
    with origins.name_faults():
        _check_tables(document)
        variables = _read_environment(environ, document)
        named = {format_key(place): name for place, (name, _) in variables.items()}
    origins = Origins(file, text, named)
    with origins.name_faults():
        settings, note = _build(document, variables, path, environ)
    return Configuration(settings, file, note, origins)


def _build(
    document: dict[str, Any],
    variables: Mapping[Place, tuple[str, object]],
    path: Path | None,
    environ: Mapping[str, str],
) -> tuple[Settings, str]:
    """Return the settings, and what the operator should know about the data folder."""
    if path:
        place_files(document, path)
    for place, (_, value) in variables.items():
        table = document
        for part in place[:-1]:
            table = table.setdefault(part, {})
        table[place[-1]] = value
    document["upstreams"] = _complete_upstreams(document.get("upstreams", {}))
    try:
        settings = read_table(Settings, document)
    except ValidationError as error:
        raise describe_fault(error, variables) from error
    _check_limit(settings.storage.limit, document.get("storage", {}).get("limit"))
    is_variable = ("storage", "path") in variables
    base = find_current_folder() if is_variable else find_base(path, environ)
    data = place_data(settings.storage.path, base)
    storage = replace(settings.storage, path=data.path)
    return read_files(replace(settings, storage=storage)), data.note


def _check_limit(limit: int, written: object) -> None:
    """Refuse a limit whose unit was forgotten: with 50 bytes, all images would be deleted."""
    if limit < _LEAST_LIMIT and str(written).strip().isdigit():
        why = f"{written} means {limit} bytes, and no image fits into that"
        raise SettingsError("storage.limit", why, f'write a unit, for example "{limit}GiB"')


def _read_text(path: Path) -> str:
    name = str(path.absolute())
    try:
        content = read_first(path, _MAX_DOCUMENT + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise refuse_unreadable(name, error) from error
    except UnicodeDecodeError as error:
        raise SettingsError(name, "not UTF-8", "save the file as UTF-8") from error
    if len(content) > _MAX_DOCUMENT:
        why = f"it has more than {_MAX_DOCUMENT >> 20} MiB"
        raise SettingsError(name, why, "name a file of settings")
    return text


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        end = f"at line {text.count(chr(10)) + 1}, the end of the document"
        why = str(error).replace("at end of document", end)
        name = str(path.absolute())
        raise SettingsError(name, f"not TOML: {why}", advise_syntax(why, text)) from error


def _check_tables(document: Mapping[str, Any]) -> None:
    """Refuse values in place of tables; the models check the content of the tables."""
    for section in [each.name for each in fields(Settings)]:
        if section == "prefetch":
            _check_prefetches(document.get(section, []))
        elif section != "offline" and not isinstance(document.get(section, {}), dict):
            raise SettingsError(section, "this is a table, not a value", f"write [{section}]")
    for name, table in document.get("upstreams", {}).items():
        key = format_key(("upstreams", name))
        if not isinstance(table, dict):
            raise SettingsError(key, "this is a table, not a value", f"write [{key}]")
        dotted = _join_dotted(name, table)
        if dotted != name:
            cure = f"write [{format_key(('upstreams', dotted))}]"
            raise SettingsError(f"upstreams.{dotted}", "a name with dots needs quotes", cure)


def _check_prefetches(tables: object) -> None:
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise SettingsError("prefetch", "this is not a list of tables", "write [[prefetch]]")


def _join_dotted(name: str, table: Mapping[str, Any]) -> str:
    # [upstreams.ghcr.io] without quotes is a table `io` in a table `ghcr`.
    inner = next((key for key, value in table.items() if isinstance(value, dict)), None)
    return name if inner is None else _join_dotted(f"{name}.{inner}", table[inner])


def _complete_upstreams(configured: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the tables of all upstreams: the built-in ones and `configured`, merged by name."""
    tables = builtin_upstreams()
    if any(_is_on(table.get("default")) for table in configured.values()):
        tables["docker.io"]["default"] = False
    for name, table in configured.items():
        # Asterisks are accepted, because `dump` prints them; a password belongs in a file.
        if table.pop("password", MASK) != MASK:
            raise SettingsError(
                format_key(("upstreams", name, "password")),
                "passwords are not written here",
                "put it in a file and name the file in password_file",
            )
        tables[name] = tables.get(name, {"endpoints": [f"https://{name}"]}) | table
    return tables


def _is_on(value: object) -> bool:
    # The texts that pydantic reads as true; variables of the environment are texts.
    return str(value).lower() in {"true", "t", "yes", "y", "on", "1"}


def _read_environment(
    environ: Mapping[str, str], document: Mapping[str, Any]
) -> dict[Place, tuple[str, object]]:
    """Return the settings in `environ`: name of the variable and value, by the setting's place."""
    upstreams = [*builtin_upstreams(), *document.get("upstreams", {})]
    found: dict[Place, tuple[str, object]] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE:
            continue
        if _FOREIGN.fullmatch(variable):
            continue
        place = _find_place(variable, upstreams)
        if place in found:
            why = f"{found[place][0]} and {variable} both set it"
            raise SettingsError(format_key(place), why, "unset one of them")
        found[place] = variable, _read_variable(place, text)
    return found


def _find_place(variable: str, upstreams: Iterable[str]) -> Place:
    parts = variable.removeprefix(PREFIX).lower().split("__")
    place: Place = tuple(parts)
    if parts[0] == "upstreams" and len(parts) > 2:
        place = "upstreams", _find_upstream(variable, "__".join(parts[1:-1]), upstreams), parts[-1]
    if place not in {*list_places(place)}:
        nearest = name_nearest(variable, map(_format_variable, list_places(place)))
        raise SettingsError(variable, "no such setting", nearest)
    return place


def _find_upstream(variable: str, wanted: str, upstreams: Iterable[str]) -> str:
    names = {name for name in upstreams if _flatten(name) == _flatten(wanted)}
    if wanted in names or (not names and re.search(r"[.:]", wanted)):
        return wanted  # a name with dots may also name a new upstream
    if len(names) == 1:
        return names.pop()
    if names:
        why = f"this may be {' or '.join(sorted(names))}"
        raise SettingsError(variable, why, "write the name with its dots")
    spelled = sorted({_flatten(name).upper() for name in upstreams})
    raise SettingsError(variable, "no such upstream", name_nearest(wanted.upper(), spelled))


def _flatten(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _read_variable(place: Place, text: str) -> object:
    annotation = get_type_hints(find_model(place[:-1]))[place[-1]]
    if get_origin(annotation) is Mapping:
        return parse_table(text)
    return parse_list(text) if get_origin(annotation) is tuple else text


def _format_variable(place: Place) -> str:
    # A shell allows no dots and colons in names of variables.
    return PREFIX + re.sub(r"[^A-Z0-9_]", "_", "__".join(place).upper())
