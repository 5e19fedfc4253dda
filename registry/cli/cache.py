"""`entrepot cache`: how full the store is, whether it is damaged, and backups."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.messages import fail, warn
from registry.cli.printing import print_report
from registry.cli.session import Config, DryRun, Json, Quiet, Session, operate
from registry.cli.terminal import format_age, format_bytes, format_count, show_progress
from registry.reports.cache import (
    AuditResult,
    BackupResult,
    CacheUsage,
    Eviction,
    RunningDownloads,
    Savings,
)
from registry.settings.exposure import list_exposed_images
from registry.settings.values import Refusal, parse_size

_LEAST_SHARE = 0.1  # percent; less is not shown as nothing
_To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="SIZE",
        help="Delete until at most this much is used. Default: 95% of the limit.",
    ),
]
_Free = Annotated[
    str | None,
    typer.Option("--free", metavar="SIZE", help="Delete until this much less is used than now."),
]
_Restart = Annotated[
    bool, typer.Option("--restart", help="Start again instead of continuing an interrupted audit.")
]
_Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="A new folder, or an earlier backup to update.")
]


def build_cache_app() -> typer.Typer:
    """Return the sub-command `cache`."""
    app = typer.Typer(
        help="Show how full the cache is, make space, check it, and back it up.",
        no_args_is_help=True,
    )
    app.command("stats")(show_stats)
    app.command("evict")(evict)
    app.command("audit")(audit)
    app.command("backup")(back_up)
    return app


def show_stats(config: Config = None, as_json: Json = False) -> None:
    """Show how much space is used and by what, and how much was not downloaded again.

    Example: entrepot cache stats --json
    """

    async def work(session: Session) -> bool:
        usage = CacheUsage.of(await session.content.usage.take())
        print_report(usage, _draw_usage, as_json=as_json)
        return True

    operate(config, work)


def _draw_usage(usage: CacheUsage) -> Iterator[str]:
    use, share = usage.use, 100 * usage.used / usage.limit
    percent = "under 0.1%" if 0 < share < _LEAST_SHARE else f"{share:.1f}%"
    yield f"used           {format_bytes(usage.used)} of {format_bytes(usage.limit)} ({percent})"
    yield f"  blobs        {format_bytes(use.blobs)} in {format_count(use.count, 'blob')}"
    yield f"    pinned     {format_bytes(use.pinned)}"
    yield f"  downloading  {_format_downloads(usage.downloads)}"
    if usage.downloads.interrupted:
        interrupted = format_bytes(usage.downloads.interrupted)
        yield f"  interrupted  {interrupted}; the next pull continues the download"
    yield f"  damaged      {format_bytes(use.damaged)} in quarantine/"
    reserve = (
        f", of which the cache never uses {format_bytes(usage.reserve)}" if usage.reserve else ""
    )
    yield f"free on disk   {format_bytes(usage.free)}{reserve}"
    empty = f" ({usage.empty_images} of them not stored)" if usage.empty_images else ""
    yield f"images         {usage.images}{empty}"
    yield from _draw_savings(usage.savings)
    if not any(audit.began for audit in usage.audits.values()):
        yield "audit          never"
    for name, audit in usage.audits.items():
        if audit.began:
            who = "in the background" if name == "background" else "by command"
            end = f"ended {format_age(audit.ended)}" if audit.ended else "not finished"
            yield f"audit          {who}: began {format_age(audit.began)}, {end}"


def _format_downloads(downloads: RunningDownloads) -> str:
    if not downloads.count:
        return "nothing"
    amount = f"{format_bytes(downloads.arrived)} of {format_bytes(downloads.expected)}"
    return f"{amount} in {format_count(downloads.count, 'blob')}"


def _draw_savings(savings: Savings | None) -> Iterator[str]:
    if savings is None:
        yield "hit ratio      not known: no server is running"
        return
    started = f"since the server started, {format_age(savings.since)}"
    if not savings.requests:
        yield f"hit ratio      no pulls {started}"
        return
    yield (
        f"hit ratio      {savings.hit_ratio:.1%} of {format_count(savings.requests, 'answer')}"
        f" {started}"
    )
    yield (
        f"saved          {format_bytes(savings.saved)} of the {format_bytes(savings.sent)} that"
        " clients got came from the cache or from shared downloads"
    )


def evict(
    to: _To = None,
    free: _Free = None,
    *,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Delete damaged blobs, then those whose last pull is longest ago.

    Pinned blobs, and blobs that are being read, stay.

    Which images are large: entrepot images ls --sort size

    Example: entrepot cache evict --free 10GiB --dry-run
    """
    if to is not None and free is not None:
        fail("--to and --free exclude each other: write one of them", 2)

    async def work(session: Session) -> bool:
        used = (await session.content.usage.take()).used
        if free is not None:
            target = max(0, used - _read_size("--free", free))
        elif to is not None:
            target = _read_size("--to", to)
        else:
            target = int(session.settings.storage.limit * 0.95)
        evict_now = _plan_eviction if dry_run else _evict
        freed, blobs, (empty, images) = await evict_now(session, used - target)
        eviction = Eviction(used, target, freed, blobs, images, empty, dry_run)
        print_report(eviction, _draw_eviction, as_json=as_json, quiet=quiet)
        if not eviction.is_enough:
            left = (
                f"{format_bytes(used - freed)} {'would still be' if dry_run else 'are still'} used"
            )
            warn(
                f"{left}; the rest is pinned, being read or being downloaded: see entrepot images"
                " ls, unpin images, or try again later"
            )
        return eviction.is_enough

    operate(config, work, quiet=quiet)


async def _plan_eviction(session: Session, wanted: int) -> tuple[int, int, tuple[int, int]]:
    """Return what `_evict` would return, and delete nothing."""
    damaged, planned = await session.content.evictor.plan_shrink(wanted)
    sizes = [*damaged, *(blob.size for blob in planned)]
    empty = await session.content.usage.count_empty([blob.digest for blob in planned])
    return sum(sizes), len(sizes), empty


async def _evict(session: Session, wanted: int) -> tuple[int, int, tuple[int, int]]:
    """Free bytes; return how many were freed, by how many blobs, and what `count_empty` says."""
    sizes = await session.content.space.shrink(wanted)
    return sum(sizes), len(sizes), await session.content.usage.count_empty()


def _draw_eviction(eviction: Eviction) -> Iterator[str]:
    if not eviction.freed and eviction.is_enough:
        used, target = format_bytes(eviction.used), format_bytes(eviction.target)
        yield f"nothing to delete: {used} are used, {target} are allowed"
    else:
        what = f"{format_count(eviction.blobs, 'blob')}, {format_bytes(eviction.freed)}"
        yield f"{'would delete' if eviction.dry_run else 'deleted'} {what}"
        if eviction.empty_images:
            are = "would then not be stored" if eviction.dry_run else "are not stored now"
            count = f"{eviction.empty_images} of {format_count(eviction.images, 'image')}"
            yield f"{count} {are}"


def _read_size(option: str, text: str) -> int:
    text = text.strip()
    # 100 or 1.5 was meant as GiB, and would delete everything.
    if text.strip("0.") and not text[-1].isalpha():
        fail(f"{option}: {text} has no unit; write for example {text}GiB, or {text}B for bytes", 2)
    try:
        return parse_size(text)
    except Refusal as error:
        fail(f"{option}: {error.why}; write a size such as 20GiB or 500MB", 2)


def audit(
    restart: _Restart = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read every stored blob and correct what is wrong; exit 1 if anything was wrong.

    A damaged blob is moved to quarantine/, and the next pull downloads it again. Clients can pull
    meanwhile. The next audit continues an interrupted one.

    Example: entrepot cache audit
    """

    async def work(session: Session) -> bool:
        total = (await session.content.usage.take()).use.blobs
        with show_progress("auditing", total, quiet=quiet) as advance:
            findings = await session.content.audit.go_on(
                "command", is_new=restart, report=lambda _, size: advance(size)
            )
        result = AuditResult.of(findings)
        print_report(result, _draw_audit, as_json=as_json, quiet=quiet)
        return result.is_clean

    operate(config, work, quiet=quiet)


def _draw_audit(result: AuditResult) -> Iterator[str]:
    yield f"checked {format_count(result.checked, 'blob')}, {format_bytes(result.bytes)}"
    for digests, what in (
        (result.damaged, "damaged: moved to quarantine/, the next pull downloads it again"),
        (result.unknown, "unknown file: it is a correct blob, and is recorded now"),
        (result.missing, "missing: its record was removed, the next pull downloads it again"),
        (result.unreadable, "unreadable: check the disk"),
    ):
        yield from (f"{digest}  {what}" for digest in digests)
    if result.recovered_names:
        names = format_count(result.recovered_names, "name")
        yield f"{names} found on disk without a record, and recorded now"
    if result.is_clean:
        yield "no problems found"


def back_up(
    folder: _Folder, config: Config = None, as_json: Json = False, quiet: Quiet = False
) -> None:
    """Copy the data folder to another folder, also while a server runs on it.

    Every byte is checked. The copy is a data folder like any other, and only this user can read it.
    The next backup into the same folder copies only what is new.

    Example: entrepot cache backup /mnt/backup/entrepot
    """

    async def work(session: Session) -> bool:
        from registry.wiring.backup_folder import (  # noqa: PLC0415
            making_private_files,
            open_backup,
        )

        store = session.settings.storage.path.resolve()
        if folder.resolve().is_relative_to(store):
            fail(f"{folder} is the data folder itself, or inside it; name a folder elsewhere", 2)
        if not (parent := folder.absolute().parent).is_dir():
            cure = f"mount the disk of the backup, or make the folder: mkdir -p {parent}"
            fail(f"there is no folder {parent}; {cure}", 2)
        total = (await session.content.usage.take()).use.blobs
        progress = show_progress("backing up", total, quiet=quiet)
        with making_private_files(), progress as advance:
            done = await session.content.backup.write(open_backup(folder), advance)
        for line in list_exposed_images(folder):
            warn(line)
        result = BackupResult.of(done)
        print_report(result, _draw_backup, as_json=as_json, quiet=quiet)
        for digest in result.damaged:
            warn(f"{digest} is damaged and not in the backup; run: entrepot cache audit")
        return not result.damaged

    operate(config, work, quiet=quiet)


def _draw_backup(result: BackupResult) -> Iterator[str]:
    yield (
        f"the backup has {format_count(result.blobs, 'blob')}, {format_bytes(result.size)}, and"
        f" {format_count(result.tags, 'tag')}; copied now: {format_count(result.copied, 'blob')}"
    )
