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
from registry.cli.printing import Summary, print_report
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

    Name one volume, or all of them; if some are missing, the others are verified. With one volume
    alone, parts of cut blobs are compared only with volume.json, which is not signed. To detect
    forgery, verify all volumes together. An import stores a cut blob only when all of it is
    verified.

    Example: entrepot bundle verify images.tar --key maker.pub.pem
    """
    from registry.bundle.read.verify import verify  # noqa: PLC0415

    with report_errors(), open_bundle(bundle) as opened:
        signer = check_signer(opened, key or [])
        with show_progress("verifying", opened.lock.size, quiet=quiet) as advance:
            verdict = verify(opened, advance)
    warn_unchecked(opened, signer, bundle)
    result = Verification.of(opened, verdict, signer)
    print_report(result, _draw, as_json=as_json, quiet=quiet and result.whole)
    if not result.whole:
        raise typer.Exit(1)


def _draw(result: Verification) -> Iterator[str]:
    if result.whole:
        yield Summary(_sum_up(result))
        return
    yield from result.problems  # first, because they may explain missing blobs
    if result.damaged:
        yield _count_damaged(result)
    yield from (_describe("damaged", each) for each in result.damaged)
    for each in result.missing:
        files = "these files" if ", " in each.place else "this file"
        yield f"{_describe('missing', each)}; copy {files} again"
    if result.missing_volumes and result.volume_count and not result.volume_number:
        missing = format_missing_volumes(result.missing_volumes, result.volume_count)
        them = "it" if len(result.missing_volumes) == 1 else "them"
        yield f"{missing}; copy {them}, and verify {them} too"
    yield Summary(_sum_up(result))


def _count_damaged(result: Verification) -> str:
    """Return how many blobs are damaged, and which files have to be copied again."""
    count, files = len(result.damaged), dict.fromkeys(each.place for each in result.damaged)
    text = f"{format_count(count, 'damaged blob')}"
    if not result.volume_count:  # otherwise parts of blobs are counted too
        of = result.verified + count + len(result.missing)
        text = f"{count} of {format_count(of, 'blob')} {'is' if count == 1 else 'are'} damaged"
    return f"{text}; copy {', '.join(files)} again"


def _sum_up(result: Verification) -> str:
    what = result.bundle
    if result.volume_number:
        what = f"volume {result.volume_number} of {result.volume_count} of {what}"
    elif result.missing_volumes and result.volume_count:
        given = sorted({*range(1, result.volume_count + 1)} - {*result.missing_volumes})
        what = f"{format_volumes(given)} of {result.volume_count} of {what}"
    signature = f", signed by {result.signer}" if result.signer else ""
    if result.signed and result.unsigned_parts:
        signature += "; the parts are checked by volume.json, which is not signed"
    size = format_bytes(result.size)
    return f"{what}: {_count_blobs(result)} verified, {size}{signature}"


def _count_blobs(result: Verification) -> str:
    """Return how many blobs were verified, and how many parts of blobs that are not all given."""
    blobs = format_count(result.verified - result.unsigned_parts, "blob")
    if not result.unsigned_parts:
        return blobs
    return f"{blobs} and {format_count(result.unsigned_parts, 'part')} of cut blobs"


def _describe(what: str, blob: FaultyBlob) -> str:
    needed = f", needed by {', '.join(blob.needed_by)}" if blob.needed_by else ""
    return f"{what}: {blob.name} in {blob.place}{needed}"
