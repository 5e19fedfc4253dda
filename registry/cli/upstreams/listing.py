"""`entrepot upstreams ls`: the endpoints of each upstream, and how they deliver."""

import time
from collections.abc import Iterator, Sequence

from registry.cli.printing import print_report
from registry.cli.session import Config, Json, Session, operate, replace_missing
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_age, format_bytes
from registry.cli.upstreams.numbers import format_rate, format_short
from registry.reports.upstreams import KnownEndpoint, list_known, order_endpoints
from registry.wiring.known_endpoints import read_known


def list_endpoints(config: Config = None, as_json: Json = False) -> None:
    """List the endpoints of each upstream in their order, and how each delivers.

    WAIT is the time to the first byte, and RATE what one download gets. FAILS is the part of its
    requests that fail, WRONG is how often it sent wrong bytes, and RIGHT are the verified bytes
    that it has sent since then. With too few of them, it is a suspect: it is asked last, and
    nothing of it is sent to clients before the digest was right.

    Example: entrepot upstreams ls --json
    """

    async def work(session: Session) -> bool:
        upstreams = session.settings.upstreams
        known, now = read_known(session.content, upstreams), time.time()
        endpoints = {
            name: order_endpoints(
                name, upstream.endpoints, known, now, is_measured=upstream.order == "measured"
            )
            for name, upstream in upstreams.items()
        }
        print_report(list_known(endpoints, known), draw_known, as_json=as_json)
        return True

    operate(config, work, replace_missing)


def draw_known(known: Sequence[KnownEndpoint]) -> Iterator[Table]:
    """Yield the table of endpoints. Pure."""
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
    yield table
