"""The `entrepot` command: one sub-command per file, joined here."""

import typer

from registry import __version__
from registry.cli.bundles import build_bundle_app
from registry.cli.cache import build_cache_app
from registry.cli.config import build_app
from registry.cli.images import build_images_app
from registry.cli.manual import dress
from registry.cli.serve import serve


def build_cli() -> typer.Typer:
    """Make the command line."""
    cli = typer.Typer(
        name="entrepot",
        help="A private container-image mirror: every blob crosses the slow link once.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # which would break paragraphs where the source does
    )
    cli.command()(serve)
    cli.add_typer(build_app(), name="config")
    cli.add_typer(build_images_app(), name="images")
    cli.add_typer(build_cache_app(), name="cache")
    cli.add_typer(build_bundle_app(), name="bundle")
    dress(cli)
    cli.callback(invoke_without_command=True)(_describe)
    return cli


def _describe(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True),
) -> None:
    if version:
        typer.echo(f"entrepot {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run() -> None:
    """Run the command line."""
    build_cli()()
