"""`entrepot bundle import`: store the images of a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.bundle.arguments import (
    Bundle,
    Keys,
    open_bundle,
    warn_unchecked,
)
from registry.cli.bundle.load_report import draw_import, explain_move_back
from registry.cli.bundle.need_file import clear_need, write_need_file
from registry.cli.messages import fail
from registry.cli.printing import print_report
from registry.cli.session import (
    Config,
    DryRun,
    Json,
    Quiet,
    Session,
    create_missing,
    operate,
    replace_missing,
)
from registry.cli.terminal import format_bytes, show_progress
from registry.reports.bundle.imported import ImportResult

if TYPE_CHECKING:
    from registry.bundle.format.lock import Lock
    from registry.bundle.load.result import Imported
    from registry.bundle.read.head import Opened

_REQUIRE = "to refuse such bundles, set keys and require_signature in [bundles] of the settings"
_NoPin = Annotated[bool, typer.Option("--no-pin", help="Do not pin the images.")]
_MoveBack = Annotated[
    bool,
    typer.Option(
        "--move-back",
        help="Import a bundle that is older than what is here, and let tags go back to its images.",
    ),
]
_Need = Annotated[
    Path,
    typer.Option(metavar="FILE", help="Where to list the missing blobs, if there are any."),
]


def import_bundle(
    bundle: Bundle,
    key: Keys = None,
    *,
    no_pin: _NoPin = False,
    move_back: _MoveBack = False,
    need: _Need = Path("need.json"),
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Store a bundle's images in the cache, check every byte, and pin the images.

    Import volumes together, or one after the other in any order. An interrupted import continues
    when you run it again. If a volume is damaged, import it again from another copy. A dry run
    reads no layers, and so does not find damage in them: bundle verify does. If there are keys in
    [bundles] of the settings, the signature has to be made with one of them, and with --key too.

    Example: entrepot bundle import images.tar
    """

    async def work(session: Session) -> bool:
        with open_bundle(bundle) as opened:
            signer = _find_signer(session, opened, key or [])
            warn_unchecked(opened, signer, bundle, _REQUIRE)
            if not move_back:
                await _refuse_moving_back(session, opened.lock)
            await _refuse_too_large(session, opened.lock)
            if dry_run:
                done = await session.content.importer.preview(opened)
            else:
                done = await _load(session, opened, signer, quiet=quiet)
        if not (no_pin or dry_run):
            names = [(each.repository, each.reference) for each in done.images]
            await session.content.images.pin(await session.content.images.plan_pins(names, []))
        why = write_need_file(opened, done, need, dry_run=dry_run)
        listed = None if why else need
        result = ImportResult.of(opened, done, signer, listed, dry_run=dry_run)
        is_silent = quiet and result.whole
        print_report(result, draw_import, as_json=as_json, quiet=is_silent)
        if why:
            fail(why, 1)
        if result.whole:
            await clear_need(session, need, opened.lock, set(result.images), dry_run=dry_run)
        return result.whole and not result.problems

    operate(config, work, replace_missing if dry_run else create_missing, quiet=quiet)


async def _load(session: Session, opened: "Opened", signer: str, *, quiet: bool) -> "Imported":
    with show_progress("importing", opened.lock.size, quiet=quiet) as advance:
        return await session.content.importer.load(opened, advance, signer=signer)


def _find_signer(session: Session, opened: "Opened", keys: list[Path]) -> str:
    """Return the file name of the key that signed a bundle, which the settings and `keys` accept.

    Raises:
        BundleInvalid: the signature that the settings or `keys` require is missing or wrong.
        FileUnreadable, KeyInvalid: a file cannot be read, or does not contain a public key.
    """
    from registry.bundle.format.signature import Policy  # noqa: PLC0415

    policy = Policy(tuple(map(Path, session.settings.bundles.keys)), tuple(keys))
    return policy.check(opened.lock.raw, opened.signature)


async def _refuse_moving_back(session: Session, lock: "Lock") -> None:
    moves = await session.content.importer.find_moved_back(lock)
    if moves:
        fail(explain_move_back([each.image for each in moves]), 1)


async def _refuse_too_large(session: Session, lock: "Lock") -> None:
    from registry.content.shortage import explain_shortage  # noqa: PLC0415

    # Stored blobs that the images of the bundle need must not be evicted for its other blobs.
    needed = {digest for digest, _ in (*lock.blobs, *lock.omitted)}
    new = await session.content.importer.count_new(lock)
    available = await session.content.usage.measure_space(needed)
    if new > available:
        usage = await session.content.usage.take()
        why = explain_shortage(
            new,
            is_by_limit=usage.used + new > usage.limit,
            is_by_disk=new > usage.free - usage.reserve,
            limit=usage.limit,
            free=usage.free,
            reserve=usage.reserve,
        )
        what = f"the bundle has {format_bytes(new)} that are not stored here, and at most"
        fail(f"{what} {format_bytes(available)} can be made free: {why}", 1)
