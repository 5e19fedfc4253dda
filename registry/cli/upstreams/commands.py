"""`entrepot upstreams`: the list of its commands."""

import typer

from registry.cli.upstreams.measurement import measure_endpoints


def build_upstreams_app() -> typer.Typer:
    """Return the sub-command `upstreams`."""
    app = typer.Typer(
        help="Measure the endpoints of upstreams, and choose the best.", no_args_is_help=True
    )
    app.command("test")(measure_endpoints)
    return app
