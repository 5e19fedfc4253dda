"""`entrepot bundle verify`: read every byte of a bundle, and report the damage."""

from collections.abc import Iterator

import typer

from registry.cli.bundle.arguments import (
    Bundle,
    Keys,
    check_signer,
    open_bundle,
    warn_unchecked,
)
from registry.cli.messages import report_errors
from registry.cli.printing import print_report
from registry.cli.session import Json, Quiet
from registry.cli.terminal import (
    format_bytes,
    format_count,
    format_missing_volumes,
    format_volumes,
    show_progress,
)
from registry.reports.bundle.verification import FaultyBlob, Verification


def verify_bundle(
    bundle: Bundle, key: Keys = None, as_json: Json = False, quiet: Quiet = False
) -> None:
    """Read every byte of a bundle and show what is wrong; exit 1 if anything is.

    Needs no data folder.

    Name one volume, or all of them; if some are missing, the others are verified. Of one volume, a
    part of a cut blob is checked only against volume.json, which is not signed: to detect forged
    volumes, verify all of them together. An import stores a cut blob only when all of it is
    verified.

    Example: entrepot bundle verify images.tar --key maker.pub.pem
    """
    from registry.bundle.read.verify import verify  # noqa: PLC0415

    with report_errors(), open_bundle(bundle) as opened:
        signer = check_signer(opened, key or [])
        with show_progress("verifying", opened.lock.size, quiet=quiet) as advance:
            verdict = verify(opened, advance)
    warn_unchecked(opened, signer)
    result = Verification.of(opened, verdict, signer)
    print_report(result, _draw, as_json=as_json, quiet=quiet and result.whole)
    if not result.whole:
        raise typer.Exit(1)


def _draw(result: Verification) -> Iterator[str]:
    if result.whole:
        yield _sum_up(result)
        return
    where = ""
    yield from result.problems  # first, because they may explain missing blobs
    yield from (_describe("damaged", each) for each in result.damaged)
    yield from (_describe("missing", each) for each in result.missing)
    if result.missing_volumes and result.volume_count and not result.volume_number:
        yield format_missing_volumes(result.missing_volumes, result.volume_count)
        given = sorted({*range(1, result.volume_count + 1)} - {*result.missing_volumes})
        where = f" in {format_volumes(given)}"
    blobs, size = format_count(result.verified, "blob"), format_bytes(result.size)
    yield f"undamaged{where}: {blobs}, {size}"


def _sum_up(result: Verification) -> str:
    what = result.bundle
    if result.volume_number:
        what = f"volume {result.volume_number} of {result.volume_count} of {what}"
    signature = f", signed by {result.signer}" if result.signer else ""
    if result.signed and not result.signer:
        signature = ", signature not checked"
    if result.signed and result.unsigned_parts:
        parts = format_count(result.unsigned_parts, "part")
        signature += f"; {parts} of cut blobs checked by volume.json, which is not signed"
    blobs, size = format_count(result.verified, "blob"), format_bytes(result.size)
    return f"{what}: {blobs} verified, {size}{signature}"


def _describe(what: str, blob: FaultyBlob) -> str:
    needed = f", needed by {', '.join(blob.needed_by)}" if blob.needed_by else ""
    return f"{what}: {blob.name} in {blob.place}{needed}"
