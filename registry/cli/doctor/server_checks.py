"""The checks of the server on this machine: what each asks, and how long it may take."""

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from registry import __version__
from registry.access.certificate_expiry import read_ends
from registry.access.certificates import find_gap
from registry.cli.console_question import ask_console, ask_whether_ready
from registry.cli.session import refuse_other_user
from registry.content.server_state import read_server_state
from registry.errors import EntrepotError, SettingsError, StoreError
from registry.reports.doctor import machine
from registry.reports.doctor.findings import SERVER, Finding, skip
from registry.reports.doctor.upstreams import judge_upstream
from registry.server.port_owner import find_port_owner
from registry.server.tls import TLSFiles, load_tls
from registry.settings.configuration import Configuration
from registry.settings.exposure import list_exposed
from registry.settings.model import Settings
from registry.wiring.content import find_data_folder
from registry.wiring.data_folder_checks import METRICS
from registry.wiring.installation_checks import check_catalog, measure_disk, read_audit
from registry.wiring.upstream_checks import ask_upstream

LIMIT = 5.0  # seconds that each check may take
ASKING = 4.0  # seconds for what is asked within a check
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - the addresses that mean all

_VERSION = re.compile(r'entrepot_build_info\{version="([^"]*)"\}')

Check = Callable[[], Awaitable[Sequence[Finding]]]


def has_server(settings: Settings) -> bool:
    """Whether a data folder of this machine is in use, or was."""
    try:
        return (settings.storage.path / "LAYOUT").exists()
    except OSError:
        return True  # it is there, and belongs to another user


async def run_checks(configuration: Configuration) -> list[Finding]:
    """Make all checks of the server at the same time, and return what they found."""
    settings = configuration.settings
    checks: list[tuple[str, Check]] = [
        ("settings", partial(_check_settings, configuration)),
        ("TLS", partial(_check_tls, settings)),
        ("access", partial(_check_openness, settings)),
    ]
    refused = await limit_check("data folder", partial(_find_refusal, settings))
    if not refused:
        checks += [
            ("server", partial(_check_server, settings)),
            ("disk", partial(_check_disk, settings)),
            ("catalog", partial(_check_catalog, settings)),
        ]
    for name in () if settings.offline else settings.upstreams:
        checks.append((f"upstream {name}", partial(_check_upstream, settings, name)))
    found = await asyncio.gather(*(limit_check(name, check) for name, check in checks))
    if settings.offline:
        found.append([skip("upstreams", "No upstream is asked: offline = true.")])
    found.insert(1, refused)
    return [each for findings in found for each in findings]


async def limit_check(name: str, check: Check) -> Sequence[Finding]:
    """Make one check, and say so if it is not done in time or fails."""
    try:
        async with asyncio.timeout(LIMIT):
            return await check()
    except TimeoutError:
        sentence = f"The check of {name} was not done within {LIMIT:.0f} s."
        return [Finding(name, "warn", sentence, docs=SERVER)]
    except (EntrepotError, OSError) as error:
        return [Finding(name, "fail", f"The check of {name} has failed: {error}.", docs=SERVER)]


def report_settings_error(error: SettingsError) -> Finding:
    """Return the finding that the settings cannot be used."""
    return Finding("settings", "fail", str(error), (), "entrepot config check", SERVER)


async def _find_refusal(settings: Settings) -> list[Finding]:
    """Return why the data folder cannot be looked at; nothing if it can."""
    path = settings.storage.path
    cure = "run entrepot doctor as that user"
    try:
        await asyncio.to_thread(refuse_other_user, path)
        cure = "entrepot serve"
        await asyncio.to_thread(find_data_folder, settings)
    except (EntrepotError, OSError) as error:
        return [Finding("data folder", "fail", f"{error}", (), cure, SERVER)]
    return []


async def _check_settings(configuration: Configuration) -> list[Finding]:
    settings, file = configuration.settings, configuration.file
    exposed = await asyncio.to_thread(lambda: list(list_exposed(settings, file)))
    evidence = (configuration.source, *exposed)
    if exposed:
        sentence = f"Other users of this machine can read or change secrets: {exposed[0]}."
        cure = exposed[0].rpartition(": ")[2]
        return [Finding("settings", "warn", sentence, evidence, cure, SERVER)]
    return [Finding("settings", "ok", "The settings can be used.", evidence)]


async def _check_tls(settings: Settings) -> list[Finding]:
    files = TLSFiles.of(settings)
    if files is None:
        return [Finding("TLS", "ok", "Clients use plain HTTP, as the settings say.")]
    try:
        await asyncio.to_thread(load_tls, files)
    except SettingsError as error:
        return [Finding("TLS", "fail", str(error), (), "entrepot config check", SERVER)]
    now = time.time()
    ends = await asyncio.to_thread(read_ends, files.servers, files.authorities, now)
    named = {each.setting: (str(each.path), each.expires) for each in ends}
    gap = find_gap(await asyncio.to_thread(Path(files.certificate).read_bytes))
    return machine.judge_certificates(named, now, gap)


async def _check_openness(settings: Settings) -> list[Finding]:
    return [machine.judge_openness(settings)]


async def _check_server(settings: Settings) -> list[Finding]:
    return await asyncio.to_thread(_look_at_server, settings)


def _look_at_server(settings: Settings) -> list[Finding]:
    folder, listen = settings.storage.path, settings.server.listen
    consoles = read_server_state(folder / METRICS).consoles
    host = "127.0.0.1" if listen.host in _EVERYWHERE else listen.host
    # With the port 0, the settings do not say where it listens.
    listens = _is_listening(host, listen.port) if listen.port else bool(consoles)
    owner = "" if consoles or not listens else str(find_port_owner(listen.port) or "")
    metrics = "".join(ask_console(each, "/metrics") for each in consoles)
    facts = machine.ServerFacts(
        address=str(listen),
        data=str(folder),
        consoles=consoles,
        listens=listens,
        owner=owner,
        unready="; ".join(filter(None, map(ask_whether_ready, consoles))),
        version=_find_version(metrics),
        workers=_read_gauge(metrics, "entrepot_workers"),
        replaced=_read_gauge(metrics, "entrepot_worker_restarts_total") or 0,
    )
    return machine.judge_server(facts, __version__)


def _is_listening(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=ASKING):
            return True
    except OSError:
        return False


def _find_version(metrics: str) -> str:
    """Return the version of the server by the text of its metrics; empty if it is not known."""
    found = _VERSION.search(metrics)
    return found[1] if found else ""


def _read_gauge(metrics: str, name: str) -> int | None:
    """Return the sum of a metric without labels in the texts of consoles; None if it is missing."""
    lines = [line.split() for line in metrics.splitlines()]
    values = [float(line[1]) for line in lines if len(line) == 2 and line[0] == name]
    return int(sum(values)) if values else None


async def _check_disk(settings: Settings) -> list[Finding]:
    known = await read_audit(settings)
    path = settings.storage.path
    disk = await asyncio.to_thread(measure_disk, path, None if known is None else known[1])
    found = machine.judge_disk(disk, settings)
    if known is None:
        return found
    last = known[0]
    return [*found, machine.judge_audit(last.ended, last.began, time.time(), settings)]


async def _check_catalog(settings: Settings) -> list[Finding]:
    folder = find_data_folder(settings)
    try:
        sound = await asyncio.to_thread(check_catalog, folder, ASKING)
    except (StoreError, OSError) as error:
        sentence = "The catalog cannot be read."
        return [Finding("catalog", "fail", sentence, (str(error),), f"ls -l {folder.catalog}")]
    return [machine.judge_catalog(sound=sound, seconds=ASKING, path=str(folder.catalog))]


async def _check_upstream(settings: Settings, name: str) -> list[Finding]:
    return [judge_upstream(await ask_upstream(name, settings.upstreams[name], ASKING))]
