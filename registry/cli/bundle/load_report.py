"""Printing what `entrepot bundle import` did, or would do."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.cli.terminal import format_bytes, format_count, format_volumes
from registry.reports.bundle.imported import ImportResult

MAX_NAMES = 5  # images that a message names


def explain_move_back(images: Sequence[str]) -> str:
    """Return why a bundle is refused that is older than the one that tags come from now."""
    named = ", ".join(images[:MAX_NAMES])
    more = f" and {len(images) - MAX_NAMES} more" if len(images) > MAX_NAMES else ""
    tags = "this tag" if len(images) == 1 else "these tags"
    return (
        f"this bundle is older than what is stored here; it would move {tags} back: {named}{more}."
        " Nothing was imported. To import it anyway, add --move-back"
    )


def draw_import(result: ImportResult) -> Iterator[str]:
    """Yield the lines about an import, or with the same facts about a dry run."""
    would = "would be " if result.dry_run else ""
    for name in result.images:
        if name not in result.already_here:
            yield f"{would}imported: {name}  {', '.join(result.platforms[name])}".rstrip()
    if result.already_here:
        yield f"already stored: {format_count(len(result.already_here), 'image')}"
    for tag in result.moved:
        how = "moved back" if tag.backwards else "moved"
        yield f"tag {would}{how}: {tag.image} from {tag.old_digest} to {tag.new_digest}"
    yield from _draw_faults(result)
    for blob in result.partial_blobs:
        missing = f"{format_bytes(blob.missing_bytes)} of {format_bytes(blob.size)}"
        yield f"waiting: {blob.digest} is cut over volumes, and {missing} are missing"
    if result.missing_volumes and result.volume_count:
        yield _describe_missing(result, result.volume_count)
    if result.need:
        yield from _explain_need(result, result.need)
    new, known = format_bytes(result.new_bytes), format_bytes(result.known_bytes)
    if result.dry_run:
        yield f"would store {new}; {known} are stored already"
    else:
        yield f"stored {new}; {known} were stored before"


def _describe_missing(result: ImportResult, count: int) -> str:
    """Return which volumes were not given; a former import may have brought what is in them."""
    is_one = len(result.missing_volumes) == 1
    were, their = ("was", "its") if is_one else ("were", "their")
    volumes = f"{format_volumes(result.missing_volumes)} of {count}"
    if not result.whole:
        return f"{volumes} {were} not given now"
    return f"{volumes} {were} not given; {their} content is stored already"


def _explain_need(result: ImportResult, need: Path) -> Iterator[str]:
    """Yield where the missing blobs are listed, and how to get them: the nearest way first."""
    listed = "would be listed" if result.dry_run else "are listed"
    yield f"the missing blobs {listed} in {need}"
    ways = []
    if result.requires:
        bundles = "bundle" if len(result.requires) == 1 else "bundles"
        ways.append(
            f"import first the earlier {bundles} {', '.join(result.requires)}"
            " (entrepot bundle info FILE shows the id of a file)"
        )
    if result.missing_volumes:
        ways.append("import the missing volumes")
    if result.damaged or not ways:
        ways.append("import another copy of this bundle")
    yield "to complete the images, do one of these:"
    yield f"  1. {', and '.join(ways)}"
    sign = " --sign PEM" if result.signed else ""
    command = f"entrepot bundle create --need {need.name} -o gap.tar{sign}"
    first = "run this without --dry-run, " if result.dry_run else ""
    yield f"  2. {first}carry {need} to the connected side, and run there: {command}"


def _draw_faults(result: ImportResult) -> Iterator[str]:
    for blob in result.damaged.values():
        needed = f", needed by {', '.join(blob.needed_by)}" if blob.needed_by else ""
        yield f"damaged: {blob.place}{needed}"
    yield from (f"problem: {why}" for why in result.problems)
    yield from (f"refused: {name}: {why}" for name, why in result.refused.items())
    for name, missing in result.incomplete.items():
        size = format_bytes(sum(each.size for each in missing))
        if any(each.manifest for each in missing):  # what it refers to is not known
            size = f"at least {size}"
        yield f"incomplete: {name}: missing {format_count(len(missing), 'blob')}, {size}"
