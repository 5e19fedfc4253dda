"""`entrepot upstreams test`: measure endpoints as a person would, and say which to use."""

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.messages import INTERRUPTED, fail, report_errors, warn
from registry.cli.printing import print_report
from registry.cli.session import Config, Json
from registry.cli.upstreams.advice import is_written, list_changes, write_advice
from registry.cli.upstreams.candidates import find_upstream, read_images, read_urls
from registry.cli.upstreams.measurement_tables import draw_test
from registry.cli.upstreams.progress import show_progress
from registry.errors import SettingsError
from registry.logs import configure_logs
from registry.reports.name_advice import EndpointRules
from registry.reports.upstreams import UpstreamTest, report_progress, report_test
from registry.settings.configuration import Configuration
from registry.settings.known_images import WELL_KNOWN, AskedImage
from registry.settings.loading import load_configuration
from registry.settings.model import Settings
from registry.settings.own_file import ChangedFile, find_changeable
from registry.settings.password_servers import list_gaining
from registry.settings.trusted_endpoints import list_trusted
from registry.settings.values import Refusal, parse_duration
from registry.wiring.candidates import build_measurement

LIMIT = 30.0  # seconds for one candidate
_SHORTEST, _LONGEST = 1.0, 3600.0  # seconds of --limit


def _read_limit(value: object) -> float:
    try:
        seconds = parse_duration(str(value))
    except Refusal as error:
        raise typer.BadParameter(str(error)) from None
    if not _SHORTEST <= seconds <= _LONGEST:
        raise typer.BadParameter(f"{str(value)[:40]!r} is not between 1s and 1h")
    return seconds


_Urls = Annotated[
    list[str] | None,
    typer.Argument(metavar="[URL]...", help="Endpoints to try, beside those in the settings."),
]
_From = Annotated[
    str,
    typer.Option("--from", metavar="FILE", help="A file with one URL on each line; - is stdin."),
]
_Upstream = Annotated[
    str,
    typer.Option(
        "--upstream",
        metavar="NAME",
        help="Whose endpoints they are. Default: the default upstream.",
    ),
]
_Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        metavar="IMAGE",
        help="Ask for this image; may be repeated. A layer of the first one is downloaded. Default"
        f" for Docker Hub: {', '.join(WELL_KNOWN['docker.io'])}; for others see"
        " docs/slow-links.md.",
    ),
]
_Limit = Annotated[
    float,
    typer.Option(
        "--limit",
        metavar="TIME",
        parser=_read_limit,
        show_default=False,
        help="How long one endpoint may take. Default: 30s.",
    ),
]
_Write = Annotated[
    bool, typer.Option("--write", help="Write what is advised into the settings file.")
]


def measure_endpoints(
    urls: _Urls = None,
    *,
    file: _From = "",
    upstream: _Upstream = "",
    images: _Images = None,
    limit: _Limit = LIMIT,
    write: _Write = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Measure endpoints, rank them by the time for 100 MiB, and say what to write.

    Each endpoint is asked as the mirror asks it: name, connection, TLS, /v2/, token, the digests of
    some tags, a range, and up to 16 MiB of a layer at one and at eight connections. Nothing is
    stored. The endpoints in the settings are measured too. Docker Hub counts two pulls for a test.

    With --write, the lines at the end are written into the settings file, of which a copy is kept.
    Exit 0 if at least one of the endpoints works (of those that you name, if you name any), 1 if
    none does.

    Example: entrepot upstreams test --from mirrors.txt
    """
    configure_logs(logging.CRITICAL)
    with report_errors():
        configuration = load_configuration(config, os.environ)
        with configuration.origins.name_faults():
            name = _find_asked(configuration.settings, upstream)
        named = read_urls(urls or (), file)
        asked = read_images(configuration.settings, name, images or ())
        report = _measure(configuration, name, named, asked, limit)
    settings = configuration.settings.upstreams[name]
    is_same = is_written(list_changes(report), settings)
    wants_writing = write and report.complete and not is_same
    written = write_advice(config, report) if wants_writing else None
    above = _describe_list(find_changeable(configuration, os.environ), written, is_same=is_same)
    print_report(report, lambda each: draw_test(each, above), as_json=as_json)
    if not report.complete:
        raise typer.Exit(INTERRUPTED)
    if write and report.endpoints:
        _describe_writing(written)
    works = {each.endpoint for each in report.candidates if each.works}
    if not works & {*(named or settings.endpoints)}:
        fail(f"none of the endpoints {'that you named' if named else 'in the settings'} works", 1)


def _describe_list(file: Path, written: ChangedFile | str | None, *, is_same: bool) -> str:
    """Return the line above the advised list; `written` is what came of writing it into `file`."""
    if isinstance(written, ChangedFile):
        return f"{written.file} now has:"
    if is_same:
        return "the settings have this order already:"
    return f"to use them in this order, write into {file}:"


def _describe_writing(written: ChangedFile | str | None) -> None:
    """Print what came of writing; end the command if the file cannot be changed."""
    if isinstance(written, str):
        fail(f"nothing is written: {written}", 1)
    if written is None:
        warn("the settings have this list already; nothing is written")
        return
    copy = f"; the former one is {written.former}" if written.former else ""
    warn(f"wrote {written.file}{copy}; a server uses it after a reload or a restart")


def _find_asked(settings: Settings, upstream: str) -> str:
    """Return the name of the upstream to measure. Raises SettingsError: it may not be asked."""
    if settings.offline:
        why = "no upstream is asked while offline = true"
        raise SettingsError("offline", why, "write offline = false")
    return find_upstream(settings, upstream)


def _measure(
    configuration: Configuration,
    name: str,
    named: Sequence[str],
    images: Sequence[AskedImage],
    limit: float,
) -> UpstreamTest:
    """Measure the endpoints that were named, and those of the settings; Ctrl-C ends it earlier."""
    upstream = configuration.settings.upstreams[name]
    urls = list(dict.fromkeys((*named, *upstream.endpoints)))
    with configuration.origins.name_faults():
        test = build_measurement(name, upstream, urls, images, limit)

    async def measure() -> None:
        async with show_progress(lambda: report_progress(test.candidates)):
            await test.run()

    is_complete = True
    try:
        asyncio.run(measure())
    except KeyboardInterrupt:
        is_complete = False
    report = report_test(
        name,
        test.candidates,
        test.agreed,
        test.layer,
        rules=EndpointRules(
            upstream.endpoints,
            upstream.names,
            list_trusted(name, upstream) if upstream.trusted else (),
        ),
        complete=is_complete,
    )
    return replace(report, gains_password=list_gaining(name, upstream, report.endpoints))
