"""`entrepot images history|rollback|release`: what tags have led to, and what they serve."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from registry.cli.messages import FAILED, fail, warn
from registry.cli.names import format_rest, match_exactly, require_upstream
from registry.cli.printing import Summary, print_report
from registry.cli.session import Config, Json, Quiet, Session, operate
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_moment
from registry.errors import DigestInvalid, DigestNotSeen, ImageUnknown
from registry.oci.digest import Digest
from registry.oci.image_patterns import parse_image
from registry.oci.names import Repository, Tag, format_image
from registry.reports.tag_history import (
    ReleasedTag,
    RolledBackTag,
    SeenImage,
    TagReport,
    read_tag_report,
)

LEAST = 6  # hexadecimal digits of a digest that is not written whole

_Image = Annotated[str, typer.Argument(metavar="IMAGE", help="The name of an image with its tag.")]
_DigestText = Annotated[
    str, typer.Argument(metavar="DIGEST", help="A digest of images history, or its beginning.")
]
_ReleasedText = Annotated[
    str | None,
    typer.Argument(
        metavar="[DIGEST]",
        help="The image to serve before it is old enough; without: end a rollback.",
    ),
]


def history(image: _Image, config: Config = None, as_json: Json = False) -> None:
    """Show which digests a tag has led to, since when, and which one it serves.

    Example: entrepot images history nginx:1.27
    """

    async def work(session: Session) -> bool:
        from registry.wiring.tag_control import build_tag_control  # noqa: PLC0415
        from registry.wiring.upstream_rules import build_tag_delays  # noqa: PLC0415

        report = await read_tag_report(
            build_tag_control(session.content),
            session.content.manifests.catalog,
            build_tag_delays(session.settings),
            _read_tag(session, image),
            time.time(),
        )
        print_report(report, _draw_history, as_json=as_json)
        return True

    operate(config, work)


def _read_tag(session: Session, image: str) -> tuple[Repository, Tag]:
    repository, reference = parse_image(image, session.settings.registries)
    if not isinstance(reference, Tag):
        fail(f"{image} is a digest, and leads to the same image for ever; write a tag", FAILED)
    return repository, reference


def _draw_history(report: TagReport) -> Iterator[str | Table]:
    yield Summary(f"{report.image} serves {report.serves or 'nothing'}")
    if report.rolled_back:
        since = format_moment(report.rolled_back)
        yield f"rolled back on {since}; to end this: entrepot images release {report.image}"
    elif report.upstream != report.serves:
        yield f"to serve a newer one now: entrepot images release {report.image} DIGEST"
    columns = ("DIGEST", "FIRST SEEN", "LAST SEEN", "STORED", "STATE")
    table = make_table(*columns, whole=columns[1:3])
    for each in report.digests:
        first, last = format_moment(each.first), format_moment(each.last)
        stored = "yes" if each.stored else "no"
        table.add_row(each.digest, first, last, stored, _format_state(report, each))
    yield table


def _format_state(report: TagReport, each: SeenImage) -> str:
    words = []
    if each.digest == report.serves:
        words.append("served")
    if each.digest == report.upstream:
        words.append("upstream")
    if each.released:
        words.append("released")
    if each.due and each.digest == report.upstream:
        is_endless = math.isinf(each.due)
        words.append("until released" if is_endless else f"served from {format_moment(each.due)}")
    return ", ".join(words)


def rollback(
    image: _Image,
    digest: _DigestText,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a tag serve another image from now on, until `images release IMAGE`.

    The image is kept from eviction meanwhile. The upstream is not asked about the tag.

    Example: entrepot images rollback nginx:1.27 sha256:4c0fdaa8b634
    """

    async def work(session: Session) -> bool:
        from registry.wiring.tag_control import build_tag_control  # noqa: PLC0415

        repository, tag = _read_tag(session, image)
        control = build_tag_control(session.content)
        known = await control.read(repository, tag)
        name = format_image(repository, tag)
        chosen = _read_digest(name, [each.digest for each in known.history.seen], digest)
        if await control.find(repository, chosen) is None:
            await _fetch(session, repository, chosen)
        await control.roll_back(repository, tag, chosen)
        found = await session.content.images.describe(match_exactly([(repository, tag)]))
        is_complete = any(each.is_complete for one in found for each in one.platforms)
        result = RolledBackTag(name, str(chosen), str(known.served or ""), is_complete)
        print_report(result, _draw_rolled_back, as_json=as_json, quiet=quiet)
        if not is_complete:
            warn(f"{name} is incomplete; {format_rest(session, name)}")
        return True

    operate(config, work, quiet=quiet)


def _draw_rolled_back(result: RolledBackTag) -> Iterator[str]:
    yield Summary(f"{result.image} serves {result.digest} from now on")
    yield f"to end this: entrepot images release {result.image}"


def _read_digest(image: str, seen: Sequence[str], text: str) -> Digest:
    """Return a digest that was written whole, or the one of those that were seen and begin so.

    Raises:
        DigestNotSeen: none of them does.
        DigestInvalid: the text is too short, or no beginning of a digest.
    """
    try:
        return Digest.parse(text)
    except DigestInvalid:
        bare = text.partition(":")[2] or text
        if len(bare) < LEAST:
            raise
    found = [each for each in seen if each.partition(":")[2].startswith(bare)]
    if len(found) > 1:
        fail(
            f"{text} is the beginning of {len(found)} digests of {image}; write more of it", FAILED
        )
    if not found:
        raise DigestNotSeen(image, text)
    return Digest.parse(found[0])


async def _fetch(session: Session, repository: Repository, digest: Digest) -> None:
    """Download the manifest of an image."""
    name = format_image(repository, digest)
    require_upstream(session.settings, (repository, digest))
    if session.settings.offline:
        raise ImageUnknown(name)
    from registry.wiring.pulls import open_warming  # noqa: PLC0415

    async with open_warming(session.settings) as (prefetcher, _):
        await prefetcher.fetch_root(repository, digest)


def release(
    image: _Image,
    digest: _ReleasedText = None,
    *,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Serve an image before it is known for long enough; or end the rollback of a tag.

    Example: entrepot images release nginx:1.27 sha256:4c0fdaa8b634
    """

    async def work(session: Session) -> bool:
        from registry.wiring.tag_control import build_tag_control  # noqa: PLC0415

        repository, tag = _read_tag(session, image)
        control = build_tag_control(session.content)
        name = format_image(repository, tag)
        known = await control.read(repository, tag)
        if digest is None:
            await control.end_rollback(repository, tag)
            chosen, rolled_back_to = "", ""
        else:
            seen = [each.digest for each in known.history.seen]
            chosen = str(_read_digest(name, seen, digest))
            known = await control.release(repository, tag, Digest.parse(chosen))
            rolled_back_to = known.history.rolled_back_to
        latest = known.history.latest
        result = ReleasedTag(name, chosen, latest.digest if latest else "", rolled_back_to)
        print_report(result, _draw_released, as_json=as_json, quiet=quiet)
        _warn_released(result)
        return True

    operate(config, work, quiet=quiet)


def _draw_released(result: ReleasedTag) -> Iterator[str]:
    if result.digest:
        yield Summary(f"released: {result.digest} as {result.image}")
    else:
        yield f"{result.image} follows its upstream again"


def _warn_released(result: ReleasedTag) -> None:
    """Say why a released image is not served."""
    if result.rolled_back_to:
        warn(
            f"{result.image} is still rolled back to {result.rolled_back_to}; to end this:"
            f" entrepot images release {result.image}"
        )
    elif result.digest and result.digest != result.upstream:
        warn(f"{result.image} leads to {result.upstream} upstream, which was not released")
