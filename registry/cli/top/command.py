"""`entrepot top`: its options, and whether it shows what happens once or all the time."""

import asyncio
import sys
from functools import partial
from typing import Annotated

import typer

from registry.cli.lines import find_width
from registry.cli.printing import print_report
from registry.cli.session import Config, Json, Session, operate
from registry.cli.top.drawing import draw_top
from registry.cli.top.reader import TopReader
from registry.cli.top.screen import can_redraw, show_live

LOOK = 1.0  # seconds between two looks of which the rates of a single report are computed
USUAL_WIDTH = 80  # columns, where the width is not known

Once = Annotated[bool, typer.Option("--once", help="Print it once, and end.")]


def show_top(once: Once = False, config: Config = None, as_json: Json = False) -> None:
    """Show downloads, upstreams, space and processes, each second anew; q ends it.

    With --once, with --json, and if the output is no terminal, it is printed once.

    Example: entrepot top
    """

    async def work(session: Session) -> bool:
        reader = TopReader(session)
        if can_redraw() and not (once or as_json):
            await show_live(reader)
            return True
        top = await reader.read()
        if top.status.running:
            await asyncio.sleep(LOOK)
            top = await reader.read()
        width = find_width(sys.stdout) or USUAL_WIDTH
        print_report(top, partial(draw_top, width=width), as_json=as_json)
        return True

    operate(config, work)
