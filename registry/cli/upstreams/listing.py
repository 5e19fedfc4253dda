"""`entrepot upstreams ls`: the endpoints of each upstream, and how they deliver."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated

import typer

from registry.cli.printing import print_report
from registry.cli.session import Config, Json, Session, operate, replace_missing
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_age, format_bytes
from registry.cli.upstreams.candidates import find_upstream
from registry.cli.upstreams.numbers import format_rate, format_short
from registry.content.server_state import read_server_state
from registry.reports.upstreams import KnownEndpoint, list_known, order_endpoints
from registry.settings.rates import find_minute
from registry.settings.upstreams import UpstreamSettings
from registry.wiring.known_endpoints import read_known

_Name = Annotated[
    str,
    typer.Argument(metavar="[UPSTREAM]", help="Only this upstream, such as docker.io."),
]


def list_endpoints(name: _Name = "", config: Config = None, as_json: Json = False) -> None:
    """List the endpoints of each upstream in their order, and how each delivers.

    WAIT is the time to the first byte, and RATE what one download gets. FAILS is the part of its
    requests that fail, WRONG is how often it sent wrong bytes, and RIGHT are the verified bytes
    that it has sent since then. With too few of them, it is a suspect: it is asked last, and
    nothing of it is sent to clients before the digest was right. Upstreams that were never used
    are only named, unless you name one.

    Example: entrepot upstreams ls docker.io
    """

    async def work(session: Session) -> bool:
        shown = find_upstream(session.settings, name, "UPSTREAM")
        upstreams: Mapping[str, UpstreamSettings] = session.settings.upstreams
        if name:
            upstreams = {shown: upstreams[shown]}
        known, now = read_known(session.content, upstreams), time.time()
        endpoints = {
            each: order_endpoints(
                each, upstream.endpoints, known, now, is_measured=upstream.order == "measured"
            )
            for each, upstream in upstreams.items()
        }
        minute = find_minute(now)
        rates = {each: upstream.max_rate for each, upstream in upstreams.items()}
        current = {each: rate.find_rate(minute) for each, rate in rates.items()}
        limits = {each: rate.describe(minute) for each, rate in rates.items() if rate.is_limited}
        draw = partial(draw_known, limits=limits, shown=shown)
        outcomes = read_server_state(session.content.monitoring.metrics).list_outcomes()
        print_report(list_known(endpoints, known, current, outcomes), draw, as_json=as_json)
        return True

    operate(config, work, replace_missing)


def draw_known(
    known: Sequence[KnownEndpoint], limits: Mapping[str, str], shown: str
) -> Iterator[str | Table]:
    """Yield the table of endpoints; `limits` describes the rates of upstreams that have one. Pure.

    The upstreams that were never used are named below it. If there is no other, the upstream
    `shown` is in the table.
    """
    used = dict.fromkeys(each.upstream for each in known if each.measured) or {shown: None}
    yield _draw_endpoints([each for each in known if each.upstream in used])
    for upstream, limit in limits.items():
        if upstream in used:
            yield f"max_rate of {upstream}: {limit}"
    unused = dict.fromkeys(each.upstream for each in known if each.upstream not in used)
    if unused:
        yield f"never used: {', '.join(unused)}"


def _draw_endpoints(known: Sequence[KnownEndpoint]) -> Table:
    numbers = ("WAIT", "RATE", "FAILS", "RIGHT", "WRONG")
    columns = ("UPSTREAM", *numbers, "MEASURED", "NOTE", "ENDPOINT")
    table = make_table(*columns, numbers=numbers, names="ENDPOINT", whole=("MEASURED",))
    for each in known:
        is_measured = bool(each.measured)
        table.add_row(
            each.upstream,
            format_short(each.first_byte),
            format_rate(max(filter(None, (each.rate, each.total)), default=None)),
            f"{each.failing:.0%}" if is_measured else "-",
            format_bytes(each.right) if is_measured else "-",
            str(each.wrong) if is_measured else "-",
            format_age(each.measured),
            "suspect" if each.suspect else "",
            each.endpoint,
        )
    return table
