"""`entrepot bundle join`: make one file from the volumes of a bundle."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from registry.cli.bundle.arguments import open_bundle
from registry.cli.bundle.output import Output, OutputTarget, deliver, parse_target
from registry.cli.messages import fail, format_error
from registry.cli.terminal import format_volumes
from registry.errors import BundleInvalid, EntrepotError

_Volumes = Annotated[
    list[Path], typer.Argument(metavar="VOLUME...", help="All volumes, or their folder.")
]


def join_volumes(volumes: _Volumes, output: Output) -> None:
    """Join volumes to the one file that docker, podman and ctr can read. Needs no data folder.

    If it is interrupted, run it again: it continues.

    Example: entrepot bundle join images-*.tar -o images.tar
    """
    try:
        asyncio.run(_join(volumes, parse_target(output, None)))
    except (EntrepotError, OSError) as error:
        fail(format_error(error), 1)


async def _join(volumes: list[Path], target: OutputTarget) -> None:
    from registry.bundle.read.blob_store import BundleStore  # noqa: PLC0415
    from registry.bundle.write.layout import pack, read_manifests  # noqa: PLC0415

    with open_bundle(volumes) as opened, TemporaryDirectory(prefix="entrepot-") as proofs:
        if missing := list(opened.source.missing):
            count = opened.source.count
            why = f"missing: {format_volumes(missing)} of {count}; name all of them"
            raise BundleInvalid(opened.source.label, why)
        store = BundleStore.over(opened, Path(proofs))
        manifests = await read_manifests(opened.lock, store)
        archive = pack(opened.lock, manifests, store, opened.signature)
        for path in await deliver(await archive.fill(target.limit), target):
            typer.echo(path)
