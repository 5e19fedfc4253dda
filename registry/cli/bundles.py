"""`entrepot bundle`: carry images across a gap, in files that say what is in them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.creation import create_bundle, join_volumes
from registry.cli.coverage import check_bundle
from registry.cli.inspection import compare_bundles, inspect_bundle
from registry.cli.session import Config, DryRun, Json, Session, fail, operate
from registry.cli.words import open_progress, tell_size
from registry.errors import EntrepotError

if TYPE_CHECKING:
    from registry.bundle.importing import Imported
    from registry.bundle.reading import Opened

_Bundle = Annotated[
    list[Path],
    typer.Argument(metavar="BUNDLE...", help="A bundle's file, folder, or volumes; - reads stdin."),
]
_Keys = Annotated[
    list[Path] | None,
    typer.Option("--key", metavar="PEM", help="A public key to trust; may be repeated."),
]


def build_bundle_app() -> typer.Typer:
    """Return the sub-command `bundle`."""
    app = typer.Typer(help="Carry images across a gap.", no_args_is_help=True)
    app.command("create")(create_bundle)
    app.command("join")(join_volumes)
    app.command("verify")(verify_bundle)
    app.command("import")(import_bundle)
    app.command("info")(inspect_bundle)
    app.command("diff")(compare_bundles)
    app.command("check")(check_bundle)
    return app


def check_signer(opened: "Opened", keys: list[Path]) -> Path | None:
    """Return the key that signed a bundle; None where none was asked for.

    Raises:
        BundleInvalid: it was signed by none of them.
        KeyInvalid: one of them is no key.
    """
    from registry.bundle.signing import find_signer, load_keys  # noqa: PLC0415

    return find_signer(opened.lock.raw, opened.signature, load_keys(keys)) if keys else None


def verify_bundle(bundle: _Bundle, key: _Keys = None, as_json: Json = False) -> None:
    """Read every byte of a bundle and say what is wrong; exit 1 if anything is. Needs no store.

    Example: entrepot bundle verify images.tar --key maker.pub.pem
    """
    from registry.bundle.opening import open_paths  # noqa: PLC0415
    from registry.bundle.reading import verify  # noqa: PLC0415

    try:
        with open_paths(bundle) as opened:
            signer = check_signer(opened, key or [])
            verdict = verify(opened)
    except (EntrepotError, OSError) as error:
        fail(str(error), 1)
    if as_json:
        facts = {
            "bundle": opened.lock.bundle_id,
            "whole": verdict.is_whole,
            "damaged": [str(digest) for digest in verdict.damaged],
            "missing": [str(digest) for digest in verdict.missing],
            "wrong": list(verdict.wrong),
            "signer": str(signer) if signer else None,
        }
        typer.echo(json.dumps(facts))
    else:
        lines = [f"{digest}  damaged" for digest in verdict.damaged]
        lines += [f"{digest}  missing" for digest in verdict.missing]
        lines += verdict.wrong
        if verdict.is_whole:
            told = f", signed by {signer}" if signer else ""
            lines = [f"{opened.lock.bundle_id}: {len(opened.lock.blobs)} blobs are right{told}"]
        typer.echo("\n".join(lines))
    if not verdict.is_whole:
        raise typer.Exit(1)


def import_bundle(
    bundle: _Bundle,
    key: _Keys = None,
    *,
    no_pin: Annotated[bool, typer.Option("--no-pin", help="Do not pin the images.")] = False,
    config: Config = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Bring a bundle's images into the store: each byte checked, names last, pinned.

    Interrupted, or with another copy of a damaged one: import again, it goes on.

    Example: entrepot bundle import images.tar
    """
    from registry.bundle.opening import open_paths  # noqa: PLC0415

    async def work(session: Session) -> bool:
        with open_paths(bundle) as opened:
            check_signer(opened, key or [])
            new = await session.storehouse.importer.count_new(opened.lock)
            await _refuse_too_large(session, new)
            if dry_run:
                typer.echo(f"would import {tell_size(new)} for {len(opened.lock.images)} images")
                return True
            total = sum(size for _, size in opened.lock.blobs)
            with open_progress("importing", total) as progress:

                def tell(size: int) -> None:
                    progress.advance(progress.task_ids[0], size)

                done = await session.storehouse.importer.load(opened, tell)
        names = [(each.repository, each.reference) for each in done.images if not no_pin]
        for planned in await session.storehouse.images.plan_pins(names, []):
            await session.storehouse.images.pin(*planned)
        typer.echo(json.dumps(_list_facts(done)) if as_json else _tell(done))
        return done.is_whole

    operate(config, work)


async def _refuse_too_large(session: Session, new: int) -> None:
    stock = await session.storehouse.stock.take()
    room = min(stock.limit - stock.use.pinned, stock.free - stock.reserve + stock.use.blobs)
    if new > room:
        fail(
            f"the bundle has {tell_size(new)} that are not here, and only {tell_size(room)} can be"
            " made free; raise storage.limit, unpin images, or free disk space",
            1,
        )


def _list_facts(done: "Imported") -> dict[str, Any]:
    return {
        "images": [image.name for image in done.images],
        "new": done.new,
        "known": done.known,
        "damaged": [str(digest) for digest in done.damaged],
        "incomplete": {
            name: [str(each.digest) for each in lacking]
            for name, lacking in done.incomplete.items()
        },
        "moved": [
            {"image": each.image, "from": str(each.former), "to": str(each.now)}
            for each in done.moved
        ],
        "why": done.why,
    }


def _tell(done: "Imported") -> str:
    lines = [f"{image.name}  {', '.join(image.platforms)}".rstrip() for image in done.images]
    lines += [f"moved: {each.image} from {each.former} to {each.now}" for each in done.moved]
    lines += [f"damaged: {digest}" for digest in done.damaged]
    for name, lacking in done.incomplete.items():
        size = sum(each.size for each in lacking)
        lines.append(f"incomplete: {name} lacks {len(lacking)} blobs, {tell_size(size)}")
    if done.why:
        lines.append(done.why)
    lines.append(f"{tell_size(done.new)} imported, {tell_size(done.known)} were here")
    return "\n".join(lines)
