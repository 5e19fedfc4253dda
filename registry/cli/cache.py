"""`entrepot cache`: how full the store is, and is it right?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.session import Config, DryRun, Json, Session, fail, operate
from registry.cli.terminal import format_age, format_bytes, format_count, open_progress
from registry.oci.digest import Digest
from registry.settings.values import Refusal, parse_size

if TYPE_CHECKING:
    from registry.content.audit import Findings
    from registry.content.usage import UsageReport

_To = Annotated[
    str | None,
    typer.Option("--to", metavar="SIZE", help="Stop at this much; 95 % of storage.limit without."),
]
_Restart = Annotated[
    bool, typer.Option("--restart", help="Begin anew, where an interrupted audit would go on.")
]
_Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="A new folder, or a former backup to renew.")
]


def build_cache_app() -> typer.Typer:
    """Return the sub-command `cache`."""
    app = typer.Typer(help="Look after what is stored.", no_args_is_help=True)
    app.command("stats")(show_stats)
    app.command("evict")(evict)
    app.command("audit")(audit)
    app.command("backup")(back_up)
    return app


def show_stats(config: Config = None, as_json: Json = False) -> None:
    """Say how much room is used, by what, and when it was last audited.

    Example: entrepot cache stats --json
    """

    async def work(session: Session) -> bool:
        report = await session.content.stock.take()
        if as_json:
            typer.echo(json.dumps(asdict(report)))
        else:
            typer.echo("\n".join(_tell_stock(report)))
        return True

    operate(config, work)


def _tell_stock(report: "UsageReport") -> list[str]:
    use = report.use
    share, reserve = 100 * report.used / report.limit, format_bytes(report.reserve)
    lines = [
        f"used         {format_bytes(report.used)} of {format_bytes(report.limit)} ({share:.1f} %)",
        f"  blobs      {format_bytes(use.blobs)} in {use.count}",
        f"    pinned   {format_bytes(use.pinned)}",
        f"  arriving   {format_bytes(use.reserved)}",
        f"  rotten     {format_bytes(use.quarantined)} set aside",
        f"free         {format_bytes(report.free)}, of which {reserve} stay free",
        f"images       {report.images}",
    ]
    for name, state in report.audits.items():
        if state.began:
            end = f"ended {format_age(state.ended)}" if state.ended else "has not ended"
            lines.append(f"audit        by {name}: began {format_age(state.began)}, {end}")
    return lines


def evict(
    to: _To = None, config: Config = None, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Delete what was not pulled for longest; pins and what is being read stay.

    Example: entrepot cache evict --to 20GiB --dry-run
    """

    async def work(session: Session) -> bool:
        target = int(session.settings.storage.limit * 0.95) if to is None else _read_size(to)
        used = (await session.content.stock.take()).used
        if dry_run:
            plan = await session.content.evictor.plan(used - target)
            freed = sum(victim.size for victim in plan)
        else:
            freed = await session.content.room.shrink(used - target)
        is_enough = used - freed <= target
        if as_json:
            facts = {"used": used, "target": target, "freed": freed, "dry_run": dry_run}
            typer.echo(json.dumps(facts))
        else:
            typer.echo(f"{'would free' if dry_run else 'freed'} {format_bytes(freed)}")
        if not is_enough:
            typer.echo("entrepot: the rest is pinned or being read", err=True)
        return is_enough

    operate(config, work)


def _read_size(text: str) -> int:
    try:
        return parse_size(text)
    except Refusal as error:
        fail(f"--to: {error}", 2)


def audit(restart: _Restart = False, config: Config = None, as_json: Json = False) -> None:
    """Read everything that is stored, and put right what is not as it should be; exit 1 if any was.

    What has other bytes than its name says is set aside, and fetched again by the next pull. Pulls
    go on meanwhile. Interrupted, the next audit goes on.

    Example: entrepot cache audit
    """

    async def work(session: Session) -> bool:
        total = (await session.content.stock.take()).use.blobs
        with open_progress("auditing", total) as progress:

            def tell(_: Digest, size: int) -> None:
                progress.advance(progress.task_ids[0], size)

            findings = await session.content.audit.go_on("command", is_new=restart, tell=tell)
        typer.echo(json.dumps(_list_findings(findings)) if as_json else _tell_findings(findings))
        return findings.is_clean

    operate(config, work)


def _list_findings(findings: "Findings") -> dict[str, object]:
    found: dict[str, object] = {
        name: [str(digest) for digest in getattr(findings, name)]
        for name in ("rotten", "orphans", "ghosts", "unread")
    }
    counts = {"checked": findings.checked, "bytes": findings.size, "names": findings.names}
    return counts | found


def _tell_findings(findings: "Findings") -> str:
    lines = [f"checked {format_count(findings.checked, 'blob')}, {format_bytes(findings.size)}"]
    for digests, what in (
        (findings.damaged, "rotten, set aside: the next pull fetches it again"),
        (findings.unknown, "was not recorded, and is now"),
        (findings.missing, "was recorded and is not there; forgotten"),
        (findings.unread, "cannot be read: look at the disk"),
    ):
        lines += [f"{digest}  {what}" for digest in digests]
    if findings.names:
        lines.append(f"not recorded, and recorded now: {format_count(findings.names, 'name')}")
    return "\n".join(lines) + ("\nall is well" if findings.is_clean else "")


def back_up(folder: _Folder, config: Config = None, as_json: Json = False) -> None:
    """Copy the store to another folder while it is served, checking every byte.

    The copy is a data folder like any other. The next backup into it copies only what is new.

    Example: entrepot cache backup /mnt/backup/entrepot
    """

    async def work(session: Session) -> bool:
        from registry.wiring.content import open_backup  # noqa: PLC0415

        store = session.settings.storage.path.resolve()
        if folder.resolve().is_relative_to(store):
            fail(f"{folder} is the store itself, or inside it; name a folder elsewhere", 2)
        total = (await session.content.stock.take()).use.blobs
        with open_progress("backing up", total) as progress:

            def tell(size: int) -> None:
                progress.advance(progress.task_ids[0], size)

            done = await session.content.backup.write(open_backup(folder), tell)
        damaged = [str(digest) for digest in done.damaged]
        if as_json:
            typer.echo(json.dumps(asdict(done) | {"rotten": damaged}))
        else:
            typer.echo(
                f"{format_count(done.blobs, 'blob')}, {format_bytes(done.size)},"
                f" {format_count(done.names, 'name')};"
                f" {format_count(done.copied, 'blob')} copied"
            )
        for digest in damaged:
            typer.echo(f"entrepot: {digest} is rotten, run: entrepot cache audit", err=True)
        return not damaged

    operate(config, work)
