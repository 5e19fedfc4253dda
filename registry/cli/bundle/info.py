"""`entrepot bundle info|diff`: what is in a bundle, and what the next one changes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.bundle.arguments import Bundle
from registry.cli.session import Json, fail, format_error
from registry.cli.terminal import (
    format_bytes,
    format_count,
    format_volumes,
    make_table,
    print_table,
)
from registry.errors import EntrepotError

if TYPE_CHECKING:
    from registry.bundle.format.lock import LockedImage
    from registry.bundle.read.analysis import ImageSize, LargestBlob
    from registry.bundle.read.compare import Difference
    from registry.bundle.read.head import Opened

_ONE = "A bundle's file or folder, or a bundle.json."
_Former = Annotated[Path, typer.Argument(metavar="FORMER", help=_ONE)]
_Top = Annotated[
    int, typer.Option("--top", metavar="N", min=0, help="How many of the largest blobs.")
]
_Latter = Annotated[Path, typer.Argument(metavar="LATTER", help=_ONE)]


def inspect_bundle(
    bundle: Bundle,
    *,
    top: _Top = 10,
    as_json: Json = False,
) -> None:
    """Say what is in a bundle, why it is that large, and which programs can read it.

    Reads the manifests, and no layer: of a stream, only its beginning. What is damaged behind it is
    for `bundle verify` to find.

    Example: entrepot bundle info images.tar
    """
    from registry.bundle.read.analysis import Analysis, read_manifests  # noqa: PLC0415
    from registry.bundle.read.compatibility import format_readers  # noqa: PLC0415
    from registry.bundle.read.open import open_paths  # noqa: PLC0415

    try:
        with open_paths(bundle) as opened:
            manifests = read_manifests(opened)
    except (EntrepotError, OSError) as error:
        fail(format_error(error), 1)
    analysis = Analysis(opened.lock, manifests)
    shares = [analysis.measure(image) for image in opened.lock.images]
    heavy = analysis.list_largest(top)
    readers = format_readers(opened.lock, manifests, is_cut=_is_cut(opened))
    if as_json:
        facts = _list_facts(opened, shares, heavy)
        typer.echo(json.dumps(facts | {"readers": readers}))
        return
    typer.echo("\n".join(_describe(opened)))
    typer.echo("")
    _print_shares(shares)
    if heavy:
        typer.echo("")
        _print_heavy(heavy)
    typer.echo(f"\n{readers}")


def describe_share(share: "ImageSize") -> dict[str, Any]:
    """Return what an image of a bundle is, and what it takes of it, as JSON has it."""
    return {
        "name": share.image.name,
        "digest": str(share.image.root.digest),
        "platforms": list(share.image.platforms),
        "missing": list(share.image.missing),
        "extra": share.image.is_extra,
        "size": share.size,
        "unique": share.unique,
    }


def _list_facts(
    opened: "Opened", shares: Sequence["ImageSize"], heavy: Sequence["LargestBlob"]
) -> dict[str, Any]:
    lock = opened.lock
    missing = _list_missing(opened)
    return {
        "bundle": lock.bundle_id,
        "mode": lock.mode,
        "signed": bool(opened.signature),
        "size": lock.size,
        "blobs": len(lock.blobs),
        "omitted": {"blobs": len(lock.omitted), "size": sum(size for _, size in lock.omitted)},
        "requires": list(lock.requires),
        "missing_volumes": missing,
        "images": [
            describe_share(each)
            | {
                "referrers": [str(referrer.digest) for referrer in each.image.referrers],
                "sources": list(each.image.sources),
                "shared": each.shared,
                "left_out": each.left_out,
                "known": each.is_known,
            }
            for each in shares
        ],
        "largest": [
            {"digest": str(each.digest), "size": each.size, "users": list(each.users)}
            for each in heavy
        ],
    }


def _is_cut(opened: "Opened") -> bool:
    return bool(opened.source.count)


def _list_missing(opened: "Opened") -> list[int]:
    return list(opened.source.missing)


def _describe(opened: "Opened") -> list[str]:
    lock = opened.lock
    plain = [image for image in lock.images if not image.is_extra]
    extras = len(lock.images) - len(plain)
    also = f", {format_count(extras, 'signature tag')}" if extras else ""
    lines = [
        lock.bundle_id,
        f"  images     {len(plain)}{also}",
        f"  size       {format_bytes(lock.size)} in {format_count(len(lock.blobs), 'blob')}",
        f"  mode       {lock.mode}",
        f"  signature  {'there; bundle verify --key checks it' if opened.signature else 'none'}",
    ]
    if lock.omitted:
        size = sum(size for _, size in lock.omitted)
        lines.append(
            f"  left out   {format_bytes(size)} in {format_count(len(lock.omitted), 'layer')}"
        )
    lines += [f"  requires   {each}" for each in lock.requires]
    if missing := _list_missing(opened):
        lines.append(f"  not given  {format_volumes(missing)}")
    return lines


def _print_shares(shares: Sequence["ImageSize"]) -> None:
    numbers = ("SIZE", "UNIQUE", "SHARED", "LEFT OUT")
    table = make_table("IMAGE", "INSIDE", "NOT INSIDE", "REFERRERS", *numbers, numbers=numbers)
    for each in sorted(shares, key=lambda each: (-each.unique, each.image.name)):
        image, least = each.image, "" if each.is_known else "at least "
        if not image.is_extra:
            table.add_row(
                image.name,
                ", ".join(image.platforms) or "all",
                ", ".join(image.missing),
                str(len(image.referrers) or ""),
                f"{least}{format_bytes(each.size)}",
                format_bytes(each.unique),
                format_bytes(each.shared),
                format_bytes(each.left_out) if each.left_out else "",
            )
    print_table(table)


def _print_heavy(heavy: Sequence["LargestBlob"]) -> None:
    table = make_table("LARGEST BLOBS", "SIZE", "NEEDED BY", numbers=("SIZE",))
    for each in heavy:
        table.add_row(str(each.digest), format_bytes(each.size), ", ".join(each.users))
    print_table(table)


def compare_bundles(former: _Former, latter: _Latter, as_json: Json = False) -> None:
    """Say what LATTER brings that FORMER does not, and the other way round.

    Exit codes are those of diff: 0 nothing, 1 something, 2 one of them cannot be read.

    Example: entrepot bundle diff may.tar june.tar
    """
    from registry.bundle.read.compare import compare  # noqa: PLC0415
    from registry.bundle.read.open import load_lock  # noqa: PLC0415

    try:
        found = compare(load_lock(former), load_lock(latter))
    except (EntrepotError, OSError) as error:
        fail(format_error(error), 2)
    if as_json:
        typer.echo(json.dumps(_list_changes(found)))
    else:
        typer.echo("\n".join(_tell_changes(found)))
    if not found.is_empty:
        raise typer.Exit(1)


def _list_changes(found: "Difference") -> dict[str, Any]:
    def spell(image: "LockedImage") -> dict[str, Any]:
        return {"name": image.name, "digest": str(image.root.digest)}

    return {
        "same": found.is_empty,
        "added": [spell(image) for image in found.added],
        "removed": [spell(image) for image in found.removed],
        "changed": [
            {
                "name": each.latter.name,
                "from": str(each.former.root.digest),
                "to": str(each.latter.root.digest),
                "gained": each.gained,
                "lost": each.lost,
            }
            for each in found.changed
        ],
        "new": {"blobs": len(found.new), "size": sum(found.new.values())},
        "gone": {"blobs": len(found.gone), "size": sum(found.gone.values())},
    }


def _tell_changes(found: "Difference") -> list[str]:
    lines = [f"+ {image.name}  {image.root.digest}" for image in found.added]
    lines += [f"- {image.name}  {image.root.digest}" for image in found.removed]
    for each in found.changed:
        parts = [f"{each.former.root.digest} -> {each.latter.root.digest}"] * each.has_moved
        parts += [f"+{name}" for name in each.gained] + [f"-{name}" for name in each.lost]
        lines.append(f"~ {each.latter.name}  {', '.join(parts) or 'other referrers'}")
    for sign, blobs in (("+", found.new), ("-", found.gone)):
        if blobs:
            count, size = format_count(len(blobs), "blob"), format_bytes(sum(blobs.values()))
            lines.append(f"{sign} {count}, {size}")
    return lines or ["no difference"]
