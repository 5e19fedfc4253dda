"""`entrepot images refresh`: ask the upstreams what tags mean now, and download that."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.images.warm_report import explain_failure
from registry.cli.lines import print_line
from registry.cli.messages import MISUSED, fail, warn
from registry.cli.names import find_names, match_exactly, require_upstream
from registry.cli.platforms import platform_option, read_checked_platforms
from registry.cli.printing import print_report
from registry.cli.session import Config, DryRun, Json, Quiet, Session, operate
from registry.cli.terminal import format_bytes, format_count
from registry.errors import EntrepotError
from registry.oci.names import Reference, Repository, format_image
from registry.oci.platforms import ALL, own_platform
from registry.reports.refresh import RefreshedImage, RefreshResult

if TYPE_CHECKING:
    from registry.content.image_report import ImageReport
    from registry.mirror.prefetch import Prefetcher

_ONLINE = "run this where the upstreams can be reached, or import a newer bundle"
_Images = Annotated[
    list[str], typer.Argument(metavar="IMAGE...", help="Names, or globs of images stored here.")
]
_Platforms = Annotated[
    list[str] | None,
    platform_option(
        "More platforms to download, or all",
        "Stored and pinned platforms are always refreshed; if there are none, this machine's"
        " platform.",
    ),
]


def refresh(
    images: _Images,
    *,
    platform: _Platforms = None,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Ask the upstreams what tags mean now, download what is missing, and move the pins.

    Example: entrepot images refresh 'docker.io/library/*'
    """

    async def work(session: Session) -> bool:
        wanted = read_checked_platforms(platform)
        if session.settings.offline:
            why = "offline = true, so no upstream is asked"
            fail(f"{why}; {_ONLINE}", MISUSED)
        from registry.wiring.pulls import open_warming  # noqa: PLC0415

        result = RefreshResult([], dry_run)
        async with open_warming(session.settings) as (prefetcher, _):
            names = await find_names(session, images)
            known = await _describe(session, names)
            for name in names:
                stored = known.get((str(name[0]), str(name[1])))
                platforms = _choose_platforms(session, name, stored, wanted)
                image = RefreshedImage(format_image(*name), platforms)
                result.images.append(image)
                if not dry_run:
                    await _refresh(session, prefetcher, name, image)
                _print_line(image, dry_run=dry_run, as_json=as_json, quiet=quiet)
        print_report(result, _draw_nothing, as_json=as_json)
        if result.failed and len(result.images) > 1:
            count = format_count(len(result.images), "image")
            warn(f"{len(result.failed)} of {count} failed")
        return not result.failed

    operate(config, work, quiet=quiet)


def _draw_nothing(_: RefreshResult) -> Iterator[str]:
    """Print nothing: a line for each image was printed when the image was done."""
    return iter(())


async def _describe(
    session: Session, names: list[tuple[Repository, Reference]]
) -> dict[tuple[str, str], "ImageReport"]:
    """Return the reports of images before they are refreshed, by tag and by digest."""
    found = await session.content.images.describe(match_exactly(names))
    return {(each.repository, key): each for each in found for key in (each.digest, each.reference)}


def _choose_platforms(
    session: Session,
    name: tuple[Repository, Reference],
    stored: "ImageReport | None",
    wanted: list[str],
) -> list[str]:
    """Return the platforms to download: the requested ones, and all that are stored or pinned.

    The result is `all` alone if every platform is requested.
    """
    if ALL in wanted:
        return [ALL]
    complete = [each.platform for each in stored.platforms if each.is_complete] if stored else []
    pinned = [
        root.platform
        for pin in session.content.images.list_pins()
        if (pin.repository, pin.reference) == name
        for root in pin.roots
    ]
    return sorted({*wanted, *complete, *pinned} - {""}) or [own_platform()]


async def _refresh(
    session: Session,
    prefetcher: "Prefetcher",
    name: tuple[Repository, Reference],
    image: RefreshedImage,
) -> None:
    """Download an image, move its pin if the image is complete, and record the result."""
    try:
        require_upstream(session.settings, name)
        platforms = [each for each in image.platforms if each != ALL]
        found = await prefetcher.warm(*name, platforms)
        if found.unavailable:
            found.failures.append(f"it is no longer made for {', '.join(found.unavailable)}")
        if not found.failures:
            await _move_pin(session, name)
    except EntrepotError as error:
        image.failures.append(explain_failure(error, name[0].registry))
        return
    image.digest, image.fetched = str(found.digest), found.fetched
    image.failures += found.failures
    image.foreign_layers, image.warning = found.foreign, found.warning


async def _move_pin(session: Session, name: tuple[Repository, Reference]) -> None:
    """If the name is pinned, pin the image that it leads to now, for the same platforms."""
    pins = session.content.images.list_pins()
    for pin in pins:
        if (pin.repository, pin.reference) == name:
            platforms = {root.platform for root in pin.roots if root.is_deep} - {""}
            planned = await session.content.images.plan_pins([name], sorted(platforms))
            await session.content.images.pin(planned)


def _print_line(image: RefreshedImage, *, dry_run: bool, as_json: bool, quiet: bool) -> None:
    for why in image.failures:
        warn(f"{image.image} failed: {why}")
    if image.warning:
        warn(f"{image.image}: {image.warning}")
    if not (image.failures or quiet):
        print_line(_format_line(image, dry_run=dry_run), err=as_json)


def _format_line(image: RefreshedImage, *, dry_run: bool) -> str:
    if dry_run:
        registry = image.image.partition("/")[0]
        platforms = ", ".join(image.platforms).replace(ALL, "all platforms")
        return f"would ask {registry} about {image.image} ({platforms})"
    fetched = f"{format_bytes(image.fetched)} downloaded" if image.fetched else "up to date"
    return "; ".join([f"{image.image}: {fetched}", *image.foreign_layers])
