"""`entrepot bundle`: carry images across a gap, in files that say what is in them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.bundle.arguments import Bundle, Keys, check_signer
from registry.cli.bundle.check import check_bundle
from registry.cli.bundle.create import create_bundle, join_volumes
from registry.cli.bundle.info import compare_bundles, inspect_bundle
from registry.cli.bundle.need_file import clear_need
from registry.cli.bundle.serve import serve_bundle
from registry.cli.session import (
    Config,
    DryRun,
    Json,
    Session,
    fail,
    first_session,
    format_error,
    operate,
    temporary_session,
)
from registry.cli.terminal import format_bytes, format_count, format_volumes, open_progress
from registry.errors import EntrepotError, InvalidInput

if TYPE_CHECKING:
    from registry.bundle.format.lock import Lock
    from registry.bundle.load.result import Imported
    from registry.bundle.read.head import Opened
    from registry.bundle.read.verify import Verdict


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
    app.command("serve")(serve_bundle)
    return app


def verify_bundle(bundle: Bundle, key: Keys = None, as_json: Json = False) -> None:
    """Read every byte of a bundle and say what is wrong; exit 1 if anything is. Needs no store.

    A volume alone is verified alone; with several, all of them have to be there. What finds damage
    in a part of a cut blob stands in volume.json, which no signature covers: against a forger only
    all of its volumes together prove a cut blob, and import stores none that is not proven.

    Example: entrepot bundle verify images.tar --key maker.pub.pem
    """
    from registry.bundle.read.open import open_paths  # noqa: PLC0415
    from registry.bundle.read.verify import list_facts, list_lines, verify  # noqa: PLC0415

    try:
        with open_paths(bundle) as opened:
            signer = check_signer(opened, key or [])
            with open_progress("verifying", opened.lock.size) as progress:
                task = progress.task_ids[0]
                verdict = verify(opened, lambda size: progress.advance(task, size))
    except InvalidInput as error:
        fail(str(error), 2)
    except (EntrepotError, OSError) as error:
        fail(format_error(error), 1)
    signature = {"signed": bool(opened.signature), "signer": signer or None}
    if as_json:
        facts = {"bundle": opened.lock.bundle_id} | list_facts(verdict) | signature
        typer.echo(json.dumps(facts))
    elif verdict.is_whole:
        typer.echo(_format_verdict(opened, verdict, signer))
    else:
        typer.echo("\n".join(list_lines(verdict)))
    if not verdict.is_whole:
        raise typer.Exit(1)


def _format_verdict(opened: "Opened", verdict: "Verdict", signer: str) -> str:
    what = opened.lock.bundle_id
    if verdict.number:
        what = f"volume {verdict.number} of {verdict.count} of {what}"
    told = f", signed by {signer}" if signer else ""
    if opened.signature and not signer:
        told = ", signed (by whom, says --key)"
    if opened.signature and verdict.parts:
        parts = format_count(verdict.parts, "part")
        told += f"; {parts} of cut blobs judged by volume.json, which is not signed"
    return (
        f"{what}: {format_count(verdict.right, 'blob')} right, {format_bytes(verdict.size)}{told}"
    )


def import_bundle(
    bundle: Bundle,
    key: Keys = None,
    *,
    no_pin: Annotated[bool, typer.Option("--no-pin", help="Do not pin the images.")] = False,
    need: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to write what lacks, if anything does.")
    ] = Path("need.json"),
    config: Config = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Bring a bundle's images into the store: each byte checked, names last, pinned.

    Interrupted, or with another copy of a damaged one: import again, it goes on. Volumes may be
    given together, or one after the other in any order.

    Example: entrepot bundle import images.tar
    """

    async def work(session: Session) -> bool:
        from registry.bundle.read.open import open_paths  # noqa: PLC0415

        content = session.content
        with open_paths(bundle) as opened:
            signer = _judge(session, opened, key or [])
            new = await content.importer.count_new(opened.lock)
            await _refuse_too_large(session, opened.lock, new)
            if dry_run:
                lacking = await content.importer.count_lacking(opened.lock)
                _tell_plan(opened, (new, lacking), signer, as_json=as_json)
                return not lacking
            with open_progress("importing", opened.lock.size) as progress:
                task = progress.task_ids[0]
                done = await content.importer.load(
                    opened, lambda size: progress.advance(task, size), signer=signer
                )
        names = [(each.repository, each.reference) for each in done.images if not no_pin]
        await content.images.pin(await content.images.plan_pins(names, []))
        facts = _list_facts(done) | {"bundle": opened.lock.bundle_id, "signer": signer or None}
        facts["need"] = str(need) if done.incomplete else None
        typer.echo(json.dumps(facts) if as_json else _tell(done, facts["need"]))
        _write_need(opened, done, need)
        if done.is_whole:
            await clear_need(session, need, {image.name for image in done.images})
        return done.is_whole

    operate(config, work, temporary_session if dry_run else first_session)


def _judge(session: Session, opened: "Opened", keys: list[Path]) -> str:
    """Return who signed a bundle: by the keys of the configuration, and by those that were named.

    Raises:
        BundleInvalid: not who has to.
        KeyInvalid: one of them is no key.
    """
    from registry.bundle.format.signature import Policy  # noqa: PLC0415

    settings = session.settings.bundles
    policy = Policy(tuple(map(Path, settings.keys)), settings.require_signature)
    pinned = policy.check(opened.lock.raw, opened.signature)
    return check_signer(opened, keys) or pinned


async def _refuse_too_large(session: Session, lock: "Lock", new: int) -> None:
    # What its images need and is here must not make room for the rest of it.
    needed = {digest for digest, _ in (*lock.blobs, *lock.omitted)}
    room = await session.content.usage.measure_space(needed)
    if new > room:
        fail(
            f"the bundle has {format_bytes(new)} that are not here, and only {format_bytes(room)}"
            " can be made free; raise storage.limit, unpin images, or free disk space",
            1,
        )


def _tell_plan(opened: "Opened", sizes: tuple[int, int], signer: str, *, as_json: bool) -> None:
    new, lacking = sizes
    names = [image.name for image in opened.lock.images]
    if as_json:
        facts = {"bundle": opened.lock.bundle_id, "images": names, "new": new, "dry_run": True}
        typer.echo(json.dumps(facts | {"lacking": lacking, "signer": signer or None}))
        return
    for name in names:
        typer.echo(f"would be imported: {name}")
    typer.echo(f"{format_bytes(new)} of {format_bytes(opened.lock.size)} are not here yet")
    if lacking:
        typer.echo(
            f"{format_bytes(lacking)} that it leaves out are not here either: images with them"
            " would stay incomplete"
        )


def _write_need(opened: "Opened", done: "Imported", path: Path) -> None:
    """Write what images lack, if they do."""
    from registry.bundle.format.inventory import write_need  # noqa: PLC0415

    if not done.incomplete:
        return
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(write_need(opened.lock.bundle_id, done.incomplete, done.need.items()))
        part.replace(path)
    except OSError as error:
        fail(f"{path} cannot be written ({error.strerror}); name another place with --need", 1)


def _list_facts(done: "Imported") -> dict[str, Any]:
    return {
        "whole": done.is_whole,
        "images": [image.name for image in done.images],
        "known_images": sorted(done.known),
        "new": done.blobs.new,
        "known": done.blobs.known,
        "damaged": {
            str(digest): {"in": place, "images": done.damaged.get(digest, [])}
            for digest, place in done.blobs.damaged.items()
        },
        "incomplete": {
            name: [str(each.digest) for each in lacking]
            for name, lacking in done.incomplete.items()
        },
        "refused": done.refused,
        "moved": [
            {
                "image": each.image,
                "from": str(each.former),
                "to": str(each.now),
                "backwards": each.is_backwards,
            }
            for each in done.moved
        ],
        "wrong": done.flaws,
        "waiting": [
            {"digest": str(each.digest), "lacking": each.lacking, "size": each.size}
            for each in done.blobs.waiting
        ],
        "missing_volumes": done.volumes,
    }


def _tell(done: "Imported", need: str | None) -> str:
    lines = [
        f"imported: {image.name}  {', '.join(image.platforms)}".rstrip()
        for image in done.images
        if image.name not in done.known
    ]
    if done.known:
        lines.append(f"here already: {format_count(len(done.known), 'image')}")
    for moved in done.moved:
        how = "moves back" if moved.is_backwards else "moved"
        lines.append(f"{how}: {moved.image} from {moved.former} to {moved.now}")
    for digest, place in done.blobs.damaged.items():
        needed = ", ".join(done.damaged.get(digest, []))
        lines.append(f"damaged: {place}" + (f", needed by {needed}" if needed else ""))
    lines += [f"wrong: {why}" for why in done.flaws]
    lines += [f"refused: {name}: {why}" for name, why in done.refused.items()]
    for name, lacking in done.incomplete.items():
        size = format_bytes(sum(each.size for each in lacking))
        lines.append(f"incomplete: {name} lacks {format_count(len(lacking), 'blob')}, {size}")
    for each in done.blobs.waiting:
        told = f"{format_bytes(each.lacking)} of {format_bytes(each.size)}"
        lines.append(f"waiting: {each.digest} is cut over volumes, and {told} lack")
    if done.volumes and not done.is_whole:
        lines.append(f"not among these: {format_volumes(done.volumes)}")
    if need:
        lines.append(
            f"what lacks is in {need}: import again with the volumes or another copy that has it,"
            f" or carry it back: entrepot bundle create --need {need} makes the gap a bundle"
        )
    lines.append(f"{format_bytes(done.blobs.new)} new, {format_bytes(done.blobs.known)} were here")
    return "\n".join(lines)
