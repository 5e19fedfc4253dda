"""`entrepot images ls --offline` and `--inventory`: what is here, for a journey to begin or end."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.session import Session, fail
from registry.cli.terminal import format_bytes, format_count
from registry.oci.image_patterns import ImagePattern

if TYPE_CHECKING:
    from registry.content.image_report import ImageReport, PlatformReport
    from registry.content.offline_check import OfflineCheck

_CARRIED = "comes by the next bundle: carry back the need.json of the import, or a new inventory"
Offline = Annotated[
    bool, typer.Option("--offline", help="Say what would lack without any upstream.")
]
Inventory = Annotated[
    bool,
    typer.Option("--inventory", help="Print all stored blobs, for: entrepot bundle create --have."),
]


async def print_inventory(session: Session, patterns: Sequence[ImagePattern]) -> bool:
    """Print the canonical JSON of everything that is stored (docs/bundle-format.md)."""
    from registry.bundle.format.inventory import write_inventory  # noqa: PLC0415

    if patterns:
        fail("an inventory is of everything that is here; leave the names out", 2)
    sys.stdout.buffer.write(write_inventory(await session.content.images.list_stored()))
    sys.stdout.buffer.write(b"\n")
    return True


def print_readiness(
    session: Session, reports: "Sequence[ImageReport]", platforms: Sequence[str], *, as_json: bool
) -> bool:
    """Print what of each image works offline; false when anything lacks."""
    from registry.content.offline_check import check_offline  # noqa: PLC0415

    judged = [check_offline(report, platforms) for report in reports]
    # Of an image that lacks something only its digest is known, whose bundle nobody wrote down.
    carried = {report.repository for report in reports if report.bundle}
    can_ask = [
        not session.settings.offline and each.image.repository not in carried for each in judged
    ]
    if as_json:
        facts = [_list_facts(each, can_ask=can) for each, can in zip(judged, can_ask, strict=True)]
        typer.echo(json.dumps(facts))
    else:
        for each, can in zip(judged, can_ask, strict=True):
            typer.echo("\n".join(_describe(each, can_ask=can)))
    return all(each.is_ready for each in judged)


def _format_warm_command(readiness: "OfflineCheck", platform: str) -> str:
    chosen = f" --platform {platform}" if platform else ""
    return f"entrepot images warm {readiness.image.name}{chosen}"


def _list_facts(readiness: "OfflineCheck", *, can_ask: bool) -> dict[str, Any]:
    return {
        "name": readiness.image.name,
        "digest": readiness.image.digest,
        "ready": readiness.is_ready,
        "complete": [each.platform for each in readiness.complete],
        "lacking": [
            {
                "platform": each.platform,
                "digest": each.digest,
                "blobs": _list_missing(each),
                "bytes": each.missing_bytes,
                "fetch": _format_warm_command(readiness, each.platform) if can_ask else None,
            }
            for each in readiness.incomplete
        ],
        "absent": list(readiness.unavailable),
    }


def _list_missing(platform: "PlatformReport") -> list[tuple[str, int | None]]:
    """Pair what lacks with its size; nobody knows that of a manifest."""
    sizes = platform.missing_sizes or [None] * len(platform.missing)
    return list(zip(platform.missing, sizes, strict=True))


def _describe(readiness: "OfflineCheck", *, can_ask: bool) -> list[str]:
    lines = [readiness.image.name]
    lines += [f"  {each.platform or 'all of it'}: complete" for each in readiness.complete]
    for each in readiness.incomplete:
        what = "the manifest, and what it names"
        if each.missing_bytes is not None:
            what = f"{format_count(len(each.missing), 'blob')}, {format_bytes(each.missing_bytes)}"
        lines.append(f"  {each.platform or 'all of it'}: lacks {what}")
        for digest, size in _list_missing(each):
            lines.append(f"    {digest}" + ("" if size is None else f"  {format_bytes(size)}"))
        cure = f"fetched by: {_format_warm_command(readiness, each.platform)}"
        lines.append(f"    {cure if can_ask else _CARRIED}")
    lines += [f"  {name}: the image is not for it" for name in readiness.unavailable]
    return lines
