"""`entrepot bundle verify`: read every byte of a bundle, and report the damage."""

from collections.abc import Iterator

import typer

from registry.cli.bundle.arguments import Bundle, Keys, check_signer, open_bundle
from registry.cli.messages import fail, format_error
from registry.cli.printing import print_report
from registry.cli.session import Json
from registry.cli.terminal import format_bytes, format_count, format_volumes, show_progress
from registry.errors import EntrepotError, InvalidInput
from registry.reports.bundle.verification import FaultyBlob, Verification


def verify_bundle(bundle: Bundle, key: Keys = None, as_json: Json = False) -> None:
    """Read every byte of a bundle and show what is wrong; exit 1 if anything is.

    Needs no data folder.

    Name one volume, or all of them. Of one volume, a part of a cut blob is checked only against
    volume.json, which is not signed: to detect forged volumes, verify all of them together. An
    import stores a cut blob only when all of it is verified.

    Example: entrepot bundle verify images.tar --key maker.pub.pem
    """
    from registry.bundle.read.verify import verify  # noqa: PLC0415

    try:
        with open_bundle(bundle) as opened:
            signer = check_signer(opened, key or [])
            with show_progress("verifying", opened.lock.size) as advance:
                verdict = verify(opened, advance)
    except InvalidInput as error:
        fail(str(error), 2)
    except (EntrepotError, OSError) as error:
        fail(format_error(error), 1)
    result = Verification.of(opened, verdict, signer)
    print_report(result, _draw, as_json=as_json)
    if not result.whole:
        raise typer.Exit(1)


def _draw(result: Verification) -> Iterator[str]:
    if result.whole:
        yield _sum_up(result)
        return
    yield from result.problems  # first, because they may explain missing blobs
    yield from (_describe("damaged", each) for each in result.damaged)
    yield from (_describe("missing", each) for each in result.missing)
    if result.missing_volumes and not result.volume_number:
        yield f"missing: {format_volumes(result.missing_volumes)} of {result.volume_count}"


def _sum_up(result: Verification) -> str:
    what = result.bundle
    if result.volume_number:
        what = f"volume {result.volume_number} of {result.volume_count} of {what}"
    signature = f", signed by {result.signer}" if result.signer else ""
    if result.signed and not result.signer:
        signature = ", signed (name a key with --key to check by whom)"
    if result.signed and result.unsigned_parts:
        parts = format_count(result.unsigned_parts, "part")
        signature += f"; {parts} of cut blobs checked by volume.json, which is not signed"
    blobs, size = format_count(result.verified, "blob"), format_bytes(result.size)
    return f"{what}: {blobs} verified, {size}{signature}"


def _describe(what: str, blob: FaultyBlob) -> str:
    needed = f", needed by {', '.join(blob.needed_by)}" if blob.needed_by else ""
    return f"{what}: {blob.name} in {blob.place}{needed}"
