"""`entrepot images refresh`: ask upstream what names lead to now, and fetch what is not here."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.names import find_names, match_exactly
from registry.cli.platforms import read_platforms
from registry.cli.session import Config, DryRun, Json, Session, operate
from registry.cli.terminal import format_bytes
from registry.errors import EntrepotError, NameUnknown
from registry.oci.names import Reference, Repository, format_image
from registry.oci.platforms import own_platform

if TYPE_CHECKING:
    from registry.content.image_report import ImageReport
    from registry.mirror.prefetch import Prefetcher, PrefetchResult

_Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Names, or globs of known.")]
_Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH",
        help="Fetch these (a,b or repeated) too. Fetched are always those that are here or"
        " pinned, and if there are none, this machine's.",
    ),
]


def refresh(
    images: _Images,
    platform: _Platforms = None,
    config: Config = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Ask upstream what names lead to now, and fetch what is not here. Pins move along.

    Example: entrepot images refresh 'docker.io/library/*'
    """

    async def work(session: Session) -> bool:
        wanted = read_platforms(platform)
        from registry.wiring.pulls import open_warming  # noqa: PLC0415

        results: list[dict[str, object]] = []
        async with open_warming(session.settings) as (prefetcher, _):
            names = await find_names(session, images)
            known = await _describe(session, names)
            for repository, reference in names:
                here = known.get((str(repository), str(reference)))
                platforms = _choose_platforms(session, (repository, reference), here, wanted)
                name = format_image(repository, reference)
                if dry_run:
                    results.append({"image": name, "platforms": platforms})
                    typer.echo(f"would refresh {name} for {', '.join(platforms)}", err=as_json)
                    continue
                result = await _refresh(session, prefetcher, (repository, reference), platforms)
                results.append({"image": name, "platforms": platforms} | result)
                typer.echo(_tell(name, result), err=as_json or bool(result.get("failures")))
        if as_json:
            typer.echo(json.dumps({"images": results, "dry_run": dry_run}))
        return not any(result.get("failures") for result in results)

    operate(config, work)


async def _describe(
    session: Session, names: list[tuple[Repository, Reference]]
) -> dict[tuple[str, str], "ImageReport"]:
    """Return what is here of images before they are refreshed, by tag and by digest."""
    reports = await session.content.images.describe(match_exactly(names))
    return {
        (each.repository, name): each for each in reports for name in (each.digest, each.reference)
    }


def _choose_platforms(
    session: Session,
    name: tuple[Repository, Reference],
    known: "ImageReport | None",
    wanted: list[str],
) -> list[str]:
    """Return what to fetch: what was asked for, and whatever is here or pinned; never less."""
    complete = [each.platform for each in known.platforms if each.is_complete] if known else []
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
    platforms: list[str],
) -> dict[str, object]:
    try:
        if name[0].registry not in session.settings.upstreams:
            raise NameUnknown(name[0].registry, tuple(session.settings.upstreams))
        warmed_image = await prefetcher.warm(*name, platforms)
        if warmed_image.unavailable:
            warmed_image.failures.append(
                f"it is no longer made for {', '.join(warmed_image.unavailable)}"
            )
        if not warmed_image.failures:
            await _move_pin(session, name)
    except EntrepotError as error:
        return {"failures": [str(error)]}
    return _list_facts(warmed_image)


async def _move_pin(session: Session, name: tuple[Repository, Reference]) -> None:
    """Pin what the name leads to now, if it was pinned, for the platforms it was pinned for."""
    pins = session.content.images.list_pins()
    for pin in pins:
        if (pin.repository, pin.reference) == name:
            platforms = {root.platform for root in pin.roots if root.is_deep} - {""}
            planned = await session.content.images.plan_pins([name], sorted(platforms))
            await session.content.images.pin(planned)


def _list_facts(warmed_image: "PrefetchResult") -> dict[str, object]:
    return {
        "digest": str(warmed_image.digest),
        "fetched": warmed_image.fetched,
        "failures": warmed_image.failures,
    }


def _tell(name: str, result: dict[str, object]) -> str:
    failures = result.get("failures")
    if isinstance(failures, list) and failures:
        return "\n".join(f"{name} not refreshed: {why}" for why in failures)
    fetched = result["fetched"]
    told = (
        f"{format_bytes(fetched)} fetched" if isinstance(fetched, int) and fetched else "up to date"
    )
    return f"{name}: {told}"
