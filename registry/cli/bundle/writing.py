"""Writing a planned bundle, and printing the result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry.cli.bundle.output import OutputTarget, assign, deliver
from registry.cli.messages import warn
from registry.cli.platforms import format_only, format_unavailable
from registry.cli.printing import Summary, print_report
from registry.cli.session import Session
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_bytes, format_count
from registry.reports.bundle.content import BundledImage, count_omitted, list_images
from registry.reports.bundle.written import WrittenBundle
from registry.reports.lines import Verbatim

if TYPE_CHECKING:
    from registry.bundle.write.layout import Contents
    from registry.bundle.write.plan import Plan


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Where to write a bundle, with which key to sign it, and how to report.

    `since` are the names and ids of the bundles whose layers it may omit.
    """

    target: OutputTarget
    key: Path | None
    is_dry: bool
    as_json: bool
    quiet: bool
    since: tuple[tuple[str, str], ...] = ()


async def write_bundle(session: Session, plan: "Plan", request: WriteRequest) -> bool:
    """Write a bundle and report it (a dry run only reports); return false if an image is missing.

    Raises:
        StoreError: a blob cannot be read, or the target cannot be written.
        OSError: the disk cannot be written.
    """
    target = request.target
    archives = await _pack(session, plan, request) if plan.lock.images else []
    files: list[Path] = []
    if archives and not request.is_dry:
        files = await deliver(archives, target, quiet=request.quiet)
    result = _report(plan, archives, files, request)
    # If the bundle itself is written to stdout, the report goes to stderr.
    is_taken = target.is_stdout and not request.is_dry
    draw = partial(_draw, since=request.since)
    print_report(result, draw, as_json=request.as_json, quiet=request.quiet, err=is_taken)
    _warn(result)
    if request.is_dry and archives:
        assign(archives, target)  # raises the errors of a real run
    return not plan.failures


async def _pack(session: Session, plan: "Plan", request: WriteRequest) -> "list[Contents]":
    from registry.bundle.format.signature import sign  # noqa: PLC0415
    from registry.bundle.write.layout import pack  # noqa: PLC0415
    from registry.wiring.content import find_data_folder, open_handles  # noqa: PLC0415

    store = open_handles(find_data_folder(session.settings)).store
    signature = sign(plan.lock.raw, request.key) if request.key else b""
    return await pack(plan.lock, plan.manifests, store, signature).fill(request.target.limit)


def _report(
    plan: "Plan", archives: "list[Contents]", files: list[Path], request: WriteRequest
) -> WrittenBundle:
    from registry.bundle.read.analysis import Analysis  # noqa: PLC0415
    from registry.bundle.read.compatibility import format_readers  # noqa: PLC0415

    if not archives:
        return WrittenBundle(request.is_dry, plan.absent, plan.only_platform, plan.failures)
    lock, sizes = plan.lock, [each.measure() for each in archives]
    analysis = Analysis(lock, plan.manifests)
    return WrittenBundle(
        dry_run=request.is_dry,
        unavailable_platforms=plan.absent,
        only_platform=plan.only_platform,
        failures=plan.failures,
        bundle=lock.bundle_id,
        mode=lock.mode,
        signed=request.key is not None,
        images=list_images([analysis.measure(image) for image in lock.images]),
        blobs=len(lock.blobs),
        size=sum(sizes),
        volume_sizes=sizes,
        shape=request.target.shape,
        omitted=count_omitted(lock),
        readers=format_readers(lock, plan.manifests, request.target.shape),
        files=files,
    )


def _draw(result: WrittenBundle, since: Sequence[tuple[str, str]] = ()) -> Iterator[str | Table]:
    if result.bundle is None:
        return
    if result.dry_run:
        yield _tabulate(result.images)
    yield Summary(_sum_up(result))
    if result.omitted.blobs:
        yield from (
            Summary(f"import {name} ({bundle}) first on the other side") for name, bundle in since
        )
    yield result.readers
    yield from (Verbatim(path) for path in result.files)


def _tabulate(images: list[BundledImage]) -> Table:
    numbers = ("SIZE", "UNIQUE")
    table = make_table("IMAGE", "PLATFORMS", *numbers, numbers=numbers, names="IMAGE")
    for image in images:
        platforms = ", ".join(image.platforms) or ("signature" if image.signature_tag else "")
        table.add_row(image.name, platforms, format_bytes(image.size), format_bytes(image.unique))
    return table


def _sum_up(result: WrittenBundle) -> str:
    images = sum(not image.signature_tag for image in result.images)
    text = f"{'would write' if result.dry_run else 'wrote'} {result.bundle}:"
    text += f" {format_count(images, 'image')}, {format_count(result.blobs, 'blob')}"
    kind = "folder" if result.shape == "folder" else "file"
    size, volumes = format_bytes(result.size), len(result.volume_sizes)
    text += f"; {volumes} volumes, {size} together" if volumes > 1 else f"; {kind} size {size}"
    if result.omitted.blobs:
        layers = format_count(result.omitted.blobs, "layer")
        text += f"; omitted: {layers}, {format_bytes(result.omitted.size)}"
    return text + (", signed" if result.signed else "")


def _warn(result: WrittenBundle) -> None:
    for name, platforms in result.unavailable_platforms.items():
        warn(format_unavailable(name, platforms))
    for name, platform in result.only_platform.items():
        warn(format_only(name, platform))
    for why in result.failures.values():
        warn(f"not in the bundle: {why}")
    if result.failures:
        written = "would be written" if result.dry_run else "was written"
        without = f"without {format_count(len(result.failures), 'image')}"
        is_any = result.bundle is not None
        warn(f"the bundle {written} {without}" if is_any else f"no bundle {written}")
