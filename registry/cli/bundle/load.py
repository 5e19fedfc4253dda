"""`entrepot bundle import`: store the images of a bundle."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.bundle.arguments import Bundle, Keys, check_signer, open_bundle
from registry.cli.bundle.need_file import clear_need, write_need_file
from registry.cli.messages import fail
from registry.cli.printing import print_report
from registry.cli.session import (
    Config,
    DryRun,
    Json,
    Session,
    create_missing,
    operate,
    replace_missing,
)
from registry.cli.terminal import format_bytes, format_count, format_volumes, show_progress
from registry.reports.bundle.imported import ImportPlan, ImportResult

if TYPE_CHECKING:
    from registry.bundle.format.lock import Lock
    from registry.bundle.load.result import Imported
    from registry.bundle.read.head import Opened

_NoPin = Annotated[bool, typer.Option("--no-pin", help="Do not pin the images.")]
_Need = Annotated[
    Path,
    typer.Option(metavar="FILE", help="Where to list the missing blobs, if there are any."),
]


def import_bundle(
    bundle: Bundle,
    key: Keys = None,
    *,
    no_pin: _NoPin = False,
    need: _Need = Path("need.json"),
    config: Config = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Store a bundle's images in the cache, check every byte, and pin the images.

    Import volumes together, or one after the other in any order. An interrupted import continues
    when you run it again. If a volume is damaged, import it again from another copy.

    Example: entrepot bundle import images.tar
    """

    async def work(session: Session) -> bool:
        with open_bundle(bundle) as opened:
            signer = _find_signer(session, opened, key or [])
            new = await session.content.importer.count_new(opened.lock)
            await _refuse_too_large(session, opened.lock, new)
            if dry_run:
                plan = await _plan(session, opened, new, signer)
                print_report(plan, _draw_plan, as_json=as_json)
                return not plan.missing_bytes
            done = await _load(session, opened, signer)
        names = [(each.repository, each.reference) for each in done.images if not no_pin]
        await session.content.images.pin(await session.content.images.plan_pins(names, []))
        result = ImportResult.of(opened, done, signer, need)
        print_report(result, _draw, as_json=as_json)
        write_need_file(opened, done, need)
        if result.whole:
            await clear_need(session, need, set(result.images))
        return result.whole and not result.problems

    operate(config, work, replace_missing if dry_run else create_missing)


async def _plan(session: Session, opened: "Opened", new: int, signer: str) -> ImportPlan:
    return ImportPlan(
        opened.lock.bundle_id,
        [image.name for image in opened.lock.images],
        opened.lock.size,
        new,
        await session.content.importer.count_omitted(opened.lock),
        signer or None,
    )


async def _load(session: Session, opened: "Opened", signer: str) -> "Imported":
    with show_progress("importing", opened.lock.size) as advance:
        return await session.content.importer.load(opened, advance, signer=signer)


def _find_signer(session: Session, opened: "Opened", keys: list[Path]) -> str:
    """Return the file name of the key that signed a bundle, from the settings or from `keys`.

    Raises:
        BundleInvalid: the signature that the settings or `keys` require is missing or wrong.
        KeyInvalid: a file does not contain a public key.
    """
    from registry.bundle.format.signature import Policy  # noqa: PLC0415

    settings = session.settings.bundles
    policy = Policy(tuple(map(Path, settings.keys)), settings.require_signature)
    configured = policy.check(opened.lock.raw, opened.signature)
    return check_signer(opened, keys) or configured


async def _refuse_too_large(session: Session, lock: "Lock", new: int) -> None:
    # Stored blobs that the images of the bundle need must not be evicted for its other blobs.
    needed = {digest for digest, _ in (*lock.blobs, *lock.omitted)}
    room = await session.content.usage.measure_space(needed)
    if new > room:
        fail(
            f"the bundle has {format_bytes(new)} that are not stored here, and only"
            f" {format_bytes(room)} can be made free; raise storage.limit, unpin images, or free"
            " disk space",
            1,
        )


def _draw_plan(plan: ImportPlan) -> Iterator[str]:
    yield from (f"would be imported: {name}" for name in plan.images)
    yield f"{format_bytes(plan.new_bytes)} of {format_bytes(plan.size)} are not stored here yet"
    if plan.missing_bytes:
        yield (
            f"{format_bytes(plan.missing_bytes)} that the bundle leaves out are not stored here"
            " either: images that need them would stay incomplete"
        )


def _draw(result: ImportResult) -> Iterator[str]:
    for name in result.images:
        if name not in result.already_here:
            yield f"imported: {name}  {', '.join(result.platforms[name])}".rstrip()
    if result.already_here:
        yield f"already here: {format_count(len(result.already_here), 'image')}"
    for tag in result.moved:
        how = "moves back" if tag.backwards else "moved"
        yield f"{how}: {tag.image} from {tag.old_digest} to {tag.new_digest}"
    yield from _draw_faults(result)
    for blob in result.partial_blobs:
        missing = f"{format_bytes(blob.missing_bytes)} of {format_bytes(blob.size)}"
        yield f"waiting: {blob.digest} is cut over volumes, and {missing} are missing"
    if result.missing_volumes and not result.whole:
        yield f"not given: {format_volumes(result.missing_volumes)}"
    if result.need:
        yield (
            f"the missing blobs are listed in {result.need}: import again with the volumes or"
            " another copy that has them, or carry the list back:"
            f" entrepot bundle create --need {result.need} makes a bundle of just these"
        )
    new, known = format_bytes(result.new_bytes), format_bytes(result.known_bytes)
    yield f"{new} new, {known} already here"


def _draw_faults(result: ImportResult) -> Iterator[str]:
    for blob in result.damaged.values():
        needed = f", needed by {', '.join(blob.needed_by)}" if blob.needed_by else ""
        yield f"damaged: {blob.place}{needed}"
    yield from (f"problem: {why}" for why in result.problems)
    yield from (f"refused: {name}: {why}" for name, why in result.refused.items())
    for name, missing in result.incomplete.items():
        size = format_bytes(sum(each.size for each in missing))
        yield f"incomplete: {name}: missing {format_count(len(missing), 'blob')}, {size}"
