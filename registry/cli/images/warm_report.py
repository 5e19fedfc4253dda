"""Printing the results of `entrepot images warm`."""

from collections.abc import Iterator, Sequence

from registry.cli.images.sources import COMMAND_LINE
from registry.cli.lines import print_line
from registry.cli.messages import warn
from registry.cli.platforms import format_only, format_unavailable
from registry.cli.printing import print_report
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_bytes, format_count
from registry.errors import EntrepotError, ManifestUnknown, UpstreamUnreachable
from registry.reports.warm import WantedImages, WarmedImage, WarmResult


def draw_explained(wanted: WantedImages) -> Iterator[Table]:
    """Yield a table of the images, and of the places that name each image."""
    table = make_table("IMAGE", "WANTED BY", names="IMAGE")
    rows = [(image, " (a guess)" if image.guess else "") for image in wanted.images]
    rows += [(image, " (a guess, taken with --guesses)") for image in wanted.guesses]
    for image, guess in rows:
        for number, place in enumerate(image.wanted_by):
            table.add_row("" if number else image.image, f"{place}{guess}")
    yield table


def explain_failure(error: EntrepotError, registry: str) -> str:
    """Return why an image of a registry could not be downloaded, and what helps."""
    from registry.mirror.prefetch import format_failure  # noqa: PLC0415

    table = f'[upstreams."{registry}"]'
    if isinstance(error, ManifestUnknown):
        why = f" ({error.why or error.answers})" if error.why or error.answers else ""
        return (
            f"not found at {registry}{why}: check the name and the tag; a private image needs"
            f" username and password_file in {table}"
        )
    if isinstance(error, UpstreamUnreachable) and not error.retry_after:
        return f"{error}; run the command again, or check endpoints and proxy in {table}"
    return format_failure(error)


def format_done(image: WarmedImage) -> str:
    """Return the line about an image that is complete."""
    fetched = f"{format_bytes(image.fetched)} downloaded" if image.fetched else "up to date"
    attached = f", with {format_count(image.attached, 'referrer')}" if image.attached else ""
    return f"{image.image}: {fetched}{attached}"


def format_planned(image: WarmedImage) -> str:
    """Return the line about what would be downloaded of an image."""
    if image.estimate is None:
        return f"{image.image}: cannot be downloaded"
    missing = image.estimate.missing_bytes
    if missing is None:
        return f"would download {image.image}"
    if not missing:
        return f"{image.image}: up to date"
    return f"would download {image.image}: {format_bytes(missing)}"


def finish(result: WarmResult, *, as_json: bool, quiet: bool) -> None:
    """Print the remarks and failures on stderr, and the result on stdout."""
    for remark in _list_remarks(result.images):
        warn(remark)
    for image in result.failed:
        for why in image.failures:
            warn(f"{image.image} failed: {why}")
        for place in image.wanted_by if image.wanted_by != (COMMAND_LINE,) else ():
            print_line(f"  wanted by {place}", err=True)
    print_report(result, _draw_result, as_json=as_json, quiet=quiet)
    if result.failed and len(result.found) > 1:
        warn(f"{len(result.failed)} of {format_count(len(result.found), 'image')} failed")


def _list_remarks(images: Sequence[WarmedImage]) -> Iterator[str]:
    for image in images:
        if image.not_found:
            yield image.not_found
        if image.warning:
            yield f"{image.image}: {image.warning}"
        if image.unavailable_platforms:
            yield format_unavailable(image.image, image.unavailable_platforms)
        if image.only_platform:
            yield format_only(image.image, image.only_platform)
        for layer in image.foreign_layers:
            yield f"{image.image}: {layer}. It is not stored, and bundles do not carry it"


def _draw_result(result: WarmResult) -> Iterator[str]:
    if result.dry_run:
        yield _sum_up_plan(result)
    elif not result.failed:
        count = len(result.stored)
        stored = f"{format_count(count, 'image')} {'is' if count == 1 else 'are'} stored"
        shared = sum(image.fetched for image in result.stored) - result.fetched
        note = " (layers that images share count once)" if shared > 0 else ""
        yield f"{stored}, {format_bytes(result.fetched)} downloaded{note}"


def _sum_up_plan(result: WarmResult) -> str:
    """Return a line with the bytes of all images; shared layers count several times."""
    estimates = [each.estimate for each in result.images if each.estimate is not None]
    sizes = [each.missing_bytes for each in estimates]
    known, unknown = sum(size or 0 for size in sizes), sizes.count(None)
    parts = [f"up to {format_bytes(known)}"] if known else []
    parts += [_format_unknown(unknown, len(sizes))] if unknown else []
    count = format_count(len(result.found), "image")
    if not result.failed and sizes.count(0) == len(sizes):
        verb = "is" if len(result.found) == 1 else "are"
        return f"would download nothing: {count} {verb} up to date"
    text = f"would download {len(sizes) - sizes.count(0)} of {count}"
    return f"{text}; {'; '.join(parts)}" if parts else text


def _format_unknown(unknown: int, count: int) -> str:
    """Return of how many images the size is not known; nothing is asked for before a real run."""
    if unknown == count:
        return "their sizes are not known yet" if count > 1 else "its size is not known yet"
    return f"the size of {unknown} is not known yet"
