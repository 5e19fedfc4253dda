"""`entrepot images pin|unpin|rm`: keep images, stop keeping them, or remove them."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from registry.cli.messages import fail, warn
from registry.cli.names import find_known, find_names, format_rest, format_unknown, match_exactly
from registry.cli.platforms import includes_all, platform_option, read_platforms
from registry.cli.printing import print_report
from registry.cli.session import Config, DryRun, Json, Quiet, Session, operate
from registry.cli.terminal import format_bytes
from registry.errors import ImagePinned, ImageUnknown, NotPinned
from registry.oci.image_patterns import ImagePattern, find_similar, is_pattern, parse_image
from registry.oci.names import Reference, Repository, format_image
from registry.oci.registries import Registries
from registry.reports.images import PinnedImages, RemovedImages, UnpinnedImages

if TYPE_CHECKING:
    from registry.content.image_report import ImageReport

_LIST = "entrepot images ls"
_Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Names or globs.")]
_Platforms = Annotated[
    list[str] | None, platform_option("Keep only these platforms", "Default: all.")
]


def pin(
    images: _Images,
    *,
    platform: _Platforms = None,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Keep images, as they are now, until they are unpinned.

    Blobs that are not downloaded yet are kept as soon as a client pulls them. When a tag moves to
    another image, the pin stays on the earlier one until `images refresh` moves it.

    Example: entrepot images pin nginx:1.27 --platform linux/amd64
    """

    async def work(session: Session) -> bool:
        platforms = [] if includes_all(platform) else read_platforms(platform)
        names = await find_names(session, images)
        try:
            planned = await session.content.images.plan_pins(names, platforms)
        except ImageUnknown as error:
            fail(format_unknown(session, error), 1)
        if not dry_run:
            await session.content.images.pin(planned)
        found = await session.content.images.describe(match_exactly(names))
        result = PinnedImages(
            [format_image(*name) for name in names],
            [each.name for each in found if _is_incomplete(each)],
            dry_run,
        )
        print_report(result, _draw_pins, as_json=as_json, quiet=quiet)
        for name in result.incomplete:
            warn(f"{name} is incomplete; {format_rest(session, name)}")
        return True

    operate(config, work, quiet=quiet)


def _is_incomplete(image: "ImageReport") -> bool:
    """Whether each platform has missing blobs that a download may bring."""
    return all(each.can_be_completed for each in image.platforms)


def _draw_pins(result: PinnedImages) -> Iterator[str]:
    return map(partial(_format_change, "pinned", dry_run=result.dry_run), result.pinned)


def unpin(
    images: _Images,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Remove pins, so that images may be deleted when space is needed. Deletes nothing now.

    Example: entrepot images unpin 'docker.io/library/*'
    """

    async def work(session: Session) -> bool:
        registries = session.settings.registries
        pins = session.content.images.list_pins()
        found: dict[tuple[Repository, Reference], None] = {}
        for name in images:
            pattern = ImagePattern.parse_exact(name, registries)
            pinned = ((pin.repository, pin.reference) for pin in pins)
            matched = [each for each in pinned if pattern.matches(*map(str, each))]
            if not matched:
                _refuse_unpinned(name, [pin.name for pin in pins], registries)
            found |= dict.fromkeys(matched)
        if not dry_run:
            await session.content.images.unpin(found)
        result = UnpinnedImages([format_image(*name) for name in found], dry_run)
        print_report(result, _draw_unpinned, as_json=as_json, quiet=quiet)
        return True

    operate(config, work, quiet=quiet)


def _refuse_unpinned(name: str, pinned: list[str], registries: Registries) -> NoReturn:
    """End the command, because a name or glob means no pinned image.

    Raises:
        NotPinned: always, for a name.
    """
    if is_pattern(name):
        fail(f"no pinned image matches {name!r}; list the images and their pins: {_LIST}", 1)
    repository, reference = parse_image(name, registries)
    raise NotPinned(format_image(repository, reference), find_similar(repository, pinned))


def _draw_unpinned(result: UnpinnedImages) -> Iterator[str]:
    return map(partial(_format_change, "unpinned", dry_run=result.dry_run), result.unpinned)


def remove(
    images: _Images,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Remove images, and the blobs that no other image needs. Pinned images are refused.

    Example: entrepot images rm 'docker.io/team/app:*' --dry-run
    """

    async def work(session: Session) -> bool:
        removals = session.content.deletion
        names = await find_known(session, images)
        plan = await removals.plan(names)
        freed = sum(sum(removal.blobs.values()) for removal in plan.removals)
        if not dry_run:
            freed = await removals.carry_out(plan.removals)
        result = RemovedImages(
            [format_image(*name) for name in names if name not in plan.refused],
            freed,
            [str(ImagePinned(pin, format_image(*name))) for name, pin in plan.refused.items()],
            dry_run,
        )
        print_report(result, _draw_removed, as_json=as_json, quiet=quiet)
        for why in result.refused:
            warn(why)
        return not result.refused

    operate(config, work, quiet=quiet)


def _draw_removed(result: RemovedImages) -> Iterator[str]:
    yield from map(partial(_format_change, "removed", dry_run=result.dry_run), result.removed)
    if result.removed:
        yield f"{'would free' if result.dry_run else 'freed'} {format_bytes(result.freed)}"


def _format_change(what: str, name: str, *, dry_run: bool) -> str:
    return f"{'would be ' if dry_run else ''}{what}: {name}"
