"""`entrepot bundle join`: make one file from the volumes of a bundle."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from registry.cli.bundle.arguments import format_missing, open_bundle
from registry.cli.bundle.output import Output, OutputTarget, deliver, parse_target
from registry.cli.lines import print_line
from registry.cli.messages import KEPT, report_errors
from registry.cli.session import Quiet
from registry.errors import BundleInvalid

_Volumes = Annotated[
    list[Path], typer.Argument(metavar="VOLUME...", help="All volumes, or their folder.")
]


def join_volumes(volumes: _Volumes, output: Output, quiet: Quiet = False) -> None:
    """Join volumes into one file, which docker, podman and ctr can read. Needs no data folder.

    If it is interrupted, run it again: it continues.

    Example: entrepot bundle join images-*.tar -o images.tar
    """
    with report_errors(interrupted=KEPT):
        asyncio.run(_join(volumes, parse_target(output, None), quiet=quiet))


async def _join(volumes: list[Path], target: OutputTarget, *, quiet: bool) -> None:
    from registry.bundle.read.blob_store import BundleStore  # noqa: PLC0415
    from registry.bundle.read.compatibility import format_readers  # noqa: PLC0415
    from registry.bundle.write.layout import pack, read_manifests  # noqa: PLC0415

    with open_bundle(volumes) as opened, TemporaryDirectory(prefix="entrepot-") as proofs:
        if missing := list(opened.source.missing):
            raise BundleInvalid(opened.source.label, format_missing(opened, missing, volumes))
        store = BundleStore.over(opened, Path(proofs))
        manifests = await read_manifests(opened.lock, store)
        archive = pack(opened.lock, manifests, store, opened.signature)
        files = await deliver(await archive.fill(target.limit), target, quiet=quiet)
    if quiet:
        return
    print_line(format_readers(opened.lock, manifests, target.shape), err=target.is_stdout)
    for path in files:
        typer.echo(path)
