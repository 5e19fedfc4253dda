"""`entrepot bundle`: the commands that carry images across an air gap in files."""

import typer

from registry.cli.bundle.check import check_bundle
from registry.cli.bundle.create import create_bundle
from registry.cli.bundle.diff import compare_bundles
from registry.cli.bundle.info import inspect_bundle
from registry.cli.bundle.join import join_volumes
from registry.cli.bundle.load import import_bundle
from registry.cli.bundle.serve import serve_bundle
from registry.cli.bundle.verify import verify_bundle


def build_bundle_app() -> typer.Typer:
    """Return the sub-command `bundle`."""
    app = typer.Typer(help="Carry images across an air gap.", no_args_is_help=True)
    app.command("create")(create_bundle)
    app.command("join")(join_volumes)
    app.command("verify")(verify_bundle)
    app.command("import")(import_bundle)
    app.command("info")(inspect_bundle)
    app.command("diff")(compare_bundles)
    app.command("check")(check_bundle)
    app.command("serve")(serve_bundle)
    return app
