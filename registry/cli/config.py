"""`entrepot config`: a new settings file, whether it can be used, and which settings apply."""

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer

from registry.cli.messages import fail
from registry.cli.printing import print_report
from registry.cli.session import Config, Json
from registry.errors import SettingsError, StoreError
from registry.reports.configuration import (
    ConfigurationFault,
    UsableConfiguration,
    WrittenConfiguration,
)
from registry.reports.lines import Verbatim
from registry.settings.access_notes import list_ineffective
from registry.settings.changes import list_changes
from registry.settings.configuration import Configuration
from registry.settings.exposure import list_exposed
from registry.settings.loading import load_configuration, load_settings
from registry.settings.model import Settings, StorageSettings
from registry.settings.new_file import write_new_settings
from registry.settings.places import (
    FILE_VARIABLE,
    find_config,
    find_own_file,
    make_absolute,
)
from registry.settings.rates import find_minute
from registry.settings.tables import dump
from registry.settings.trusted_endpoints import list_without_trusted
from registry.settings.values import format_key

# Former versions imported such bundles although there were keys.
_UNSIGNED = (
    "bundles.keys: a bundle without a signature is refused too;"
    " write require_signature = true to confirm it, or remove the keys"
)

_NO_CERTIFICATES = (
    'server.client_ca: clients are not asked for certificates, because access.mode is "open";'
    ' write mode = "users" in [access]'
)


def build_config_app() -> typer.Typer:
    """Return the sub-command `config` with `init`, `check` and `show`."""
    app = typer.Typer(
        help="Write a settings file; check and show the settings that apply.",
        no_args_is_help=True,
    )
    app.command("init")(init_config)
    app.command("check")(check_config)
    app.command("show")(show_config)
    return app


def init_config(config: Config = None, as_json: Json = False) -> None:
    """Write a file with every setting, commented out, that is yours to edit.

    In a checkout the file is entrepot.toml, which git ignores. Otherwise it is
    /etc/entrepot/entrepot.toml for root, and ~/.config/entrepot/entrepot.toml for other users. An
    existing file is never overwritten.

    Example: entrepot config init
    """
    named = config or os.environ.get(FILE_VARIABLE)
    file = make_absolute(Path(named) if named else find_own_file(os.environ))
    try:
        load_settings(Path(os.devnull), os.environ)  # wrong variables are found before the writing
        former = None if named else _load_former()
        write_new_settings(file)
        settings = load_settings(file, os.environ)
        first = None if named else find_config(None, os.environ)
    except SettingsError as error:
        _refuse(error, as_json=as_json)
    except FileExistsError:
        fail(f"{file} exists already; edit it, or name another file with --config", 1)
    except OSError as error:
        cure = "name another file with --config"
        if error.errno == errno.EROFS:
            cure = f"in a container, write config/local/entrepot.toml on the host; or {cure}"
        fail(f"{error.filename or file}: {error.strerror}; {cure}", 1)
    is_read = first is None or first.absolute() == file
    replaced, changes = None, []
    if former is not None and is_read:
        replaced, changes = former.file, list_changes(former.settings, settings)
    report = WrittenConfiguration(
        file, settings.storage.path, None if is_read else first, replaced, tuple(changes)
    )
    print_report(report, _draw_init, as_json=as_json)


def _load_former() -> Configuration | None:
    """Return the configuration that is used until now; None without a usable file."""
    try:
        configuration = load_configuration(None, os.environ)
    except SettingsError:
        return None
    return configuration if configuration.file else None


def _draw_init(report: WrittenConfiguration) -> Iterator[str]:
    yield f"wrote {report.file}: edit it, then run: entrepot config check"
    yield f"data folder: {report.data}"
    if report.read_first is not None:
        yield f"in the current folder, {report.read_first.absolute()} is read instead"
    if report.changes:
        yield f"{report.replaced} is not read any more, which changes:"
        yield from (f"  {line}" for line in report.changes)


def check_config(config: Config = None, as_json: Json = False) -> None:
    """Check whether `entrepot serve` can use the settings; exit 2 with one line if not.

    Also print which data folder is used, and whether a server is using it. Nothing is changed.

    Example: entrepot config check --config /etc/entrepot/entrepot.toml
    """
    # Imported only now: the other commands start faster without a server's libraries.
    from registry.server.tls import check_files  # noqa: PLC0415
    from registry.wiring.data_folder_checks import check_before_start  # noqa: PLC0415

    try:
        configuration = load_configuration(config, os.environ)
        with configuration.origins.name_faults():
            check_files(configuration.settings)
            check_before_start(configuration.settings.storage.path)
    except SettingsError as error:
        _refuse(error, as_json=as_json)
    except StoreError as error:
        fault = ConfigurationFault("storage.path", str(error), cure="")
        _print_fault(fault, str(error), as_json=as_json)
    print_report(_describe(configuration), _draw_check, as_json=as_json)


def _describe(configuration: Configuration) -> UsableConfiguration:
    from registry.wiring.data_folder_checks import is_used_by_server  # noqa: PLC0415

    data = configuration.settings.storage.path
    is_running = is_used_by_server(data)
    notes = [configuration.note] if configuration.note else []
    bundles = configuration.settings.bundles
    if bundles.keys and not bundles.require_signature:
        notes.append(_UNSIGNED)
    if configuration.settings.server.client_ca and configuration.settings.access.mode == "open":
        notes.append(_NO_CERTIFICATES)
    notes += _list_expiring(configuration.settings)
    notes += list_exposed(configuration.settings, configuration.file)
    notes += list_without_trusted(configuration.settings)
    notes += list_ineffective(configuration.settings)
    notes += _list_hourly_rates(configuration.settings)
    if is_running is False:
        notes += _list_taken_addresses(configuration.settings)
    notes += _list_shortages(configuration.settings.storage)
    return UsableConfiguration(
        configuration.file,
        len(configuration.settings.upstreams),
        data,
        data.exists(),
        is_running,
        tuple(notes),
    )


def _list_expiring(settings: Settings) -> Iterator[str]:
    """Yield a line for each certificate that ends soon, or has ended."""
    from registry.access.certificate_expiry import read_ends  # noqa: PLC0415
    from registry.server.tls import TLSFiles  # noqa: PLC0415

    files, now = TLSFiles.of(settings), time.time()
    if files is not None:
        lines = (end.explain(now) for end in read_ends(files.servers, files.authorities, now))
        yield from filter(None, lines)


def _list_hourly_rates(settings: Settings) -> Iterator[str]:
    """Yield the rate now, and at all other times, of each upstream with rates by the hour."""
    minute = find_minute(time.time())
    for name, upstream in settings.upstreams.items():
        if upstream.max_rate.hours:
            key = format_key(("upstreams", name, "max_rate"))
            yield f"{key}: {upstream.max_rate.describe(minute)}"


def _list_taken_addresses(settings: Settings) -> Iterator[str]:
    """Yield why a server could not listen now; that is no fault of the settings."""
    from registry.server.listener import bind  # noqa: PLC0415

    server = settings.server
    for key, address in (("server.listen", server.listen), ("server.console", server.console)):
        try:
            bind(key, address).close()
        except SettingsError as error:
            yield str(error)


def _list_shortages(storage: StorageSettings) -> Iterator[str]:
    """Yield why nothing could be stored now; that too may change."""
    from registry.content.shortage import explain_shortage  # noqa: PLC0415
    from registry.wiring.data_folder_checks import measure_free  # noqa: PLC0415

    free = measure_free(storage.path)
    if free is not None and free <= storage.reserve:
        why = explain_shortage(
            1,
            is_by_limit=False,
            is_by_disk=True,
            limit=storage.limit,
            free=free,
            reserve=storage.reserve,
        )
        yield f"nothing can be stored: {why}"


def _draw_check(report: UsableConfiguration) -> Iterator[str]:
    yield f"ok: {report.file or 'defaults (no file)'}, {report.upstreams} upstreams"
    if not report.data_exists:
        state = "it does not exist yet"
    elif report.server_running is None:
        state = "it is not known whether a server is using it"
    else:
        state = "a server is using it" if report.server_running else "no server is using it"
    yield f"data folder: {report.data} ({state})"
    for note in report.notes:
        yield f"note: {note}"


def show_config(config: Config = None, as_json: Json = False) -> None:
    """Print every setting that applies, with passwords as asterisks.

    The output can be used as a settings file, except for the password of a proxy.

    Example: ENTREPOT_STORAGE__LIMIT=200GiB entrepot config show
    """
    try:
        configuration = load_configuration(config, os.environ)
    except SettingsError as error:
        _refuse(error, as_json=as_json)
    if not as_json:
        variables = sorted({*configuration.origins.variables.values()})
        typer.echo(f"# settings from: {', '.join((configuration.source, *variables))}")
    print_report(dump(configuration.settings), _draw_file, as_json=as_json)


def _refuse(error: SettingsError, *, as_json: bool) -> NoReturn:
    fault = ConfigurationFault(error.key, error.why, error.cure)
    _print_fault(fault, str(error), as_json=as_json)


def _print_fault(fault: ConfigurationFault, line: str, *, as_json: bool) -> NoReturn:
    print_report(fault, lambda _: (), as_json=as_json)  # without --json, only stderr has a line
    fail(line, 2)


def _draw_file(table: Mapping[str, Any]) -> Iterator[str]:
    return map(Verbatim, _draw_toml(table))


def _draw_toml(table: Mapping[str, Any], head: str = "") -> Iterator[str]:
    """Yield the lines of a table: its values, then its tables.

    Strings, numbers, booleans and lists are written in TOML as in JSON, except for one character.
    """
    tables: list[tuple[str, Mapping[str, Any]]] = []
    for key, value in table.items():
        name = format_key([key])
        if isinstance(value, dict):
            tables.append((f"[{head}{name}]", value))
        elif value and isinstance(value, list) and all(isinstance(each, dict) for each in value):
            tables += [(f"[[{head}{name}]]", each) for each in value]
        else:
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            yield f"{name} = {text}"
    for name, inner in tables:
        yield ""
        yield name
        yield from _draw_toml(inner, f"{name.strip('[]')}.")
