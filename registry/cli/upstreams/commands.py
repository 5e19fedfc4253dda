"""`entrepot upstreams`: the list of its commands."""

import typer

from registry.cli.upstreams.listing import list_endpoints
from registry.cli.upstreams.measurement import measure_endpoints


def build_upstreams_app() -> typer.Typer:
    """Return the sub-command `upstreams`."""
    app = typer.Typer(
        help="Show how the endpoints of upstreams deliver; measure others, and choose the best.",
        no_args_is_help=True,
    )
    app.command("ls")(list_endpoints)
    app.command("test")(measure_endpoints)
    return app
