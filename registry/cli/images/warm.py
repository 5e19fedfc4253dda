"""`entrepot images warm`: download images before anybody pulls them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.images import sources
from registry.cli.images.gathered import print_notes
from registry.cli.images.progress import ProgressBars
from registry.cli.images.rate_limits import BudgetTracker, draw_limits
from registry.cli.images.scheduled import show_scheduled
from registry.cli.images.warm_report import (
    draw_explained,
    explain_failure,
    finish,
    format_done,
    format_planned,
)
from registry.cli.lines import print_line
from registry.cli.messages import MISUSED, fail
from registry.cli.names import require_upstream
from registry.cli.numbers import read_number
from registry.cli.platforms import choose_platforms, platform_option
from registry.cli.printing import print_report
from registry.cli.session import (
    Config,
    DryRun,
    Json,
    Quiet,
    Session,
    create_missing,
    operate,
    replace_missing,
)
from registry.errors import EntrepotError, Unknown
from registry.image_lists.results import Entry
from registry.reports.pull_limits import Estimate, PullLimit, add_up
from registry.reports.warm import WantedImages, WarmedImage, WarmResult
from registry.settings.model import Settings

if TYPE_CHECKING:
    from registry.mirror.prefetch import Prefetcher
    from registry.mirror.prefetch_cost import CostEstimator

ESTIMATED_AT_ONCE = 8  # images that are estimated at the same time

_Platforms = Annotated[
    list[str] | None,
    platform_option("Download these platforms, or all", "Default: this machine's."),
]
_AtOnce = Annotated[
    int,
    typer.Option(
        "--concurrency",
        metavar="N",
        parser=read_number(1, 64),
        help="How many images to download at once, at most 64.",
    ),
]
_Explain = Annotated[
    bool,
    typer.Option("--explain", help="Show which file and line names each image; download nothing."),
]
_Scheduled = Annotated[
    bool,
    typer.Option(
        "--scheduled",
        help="Show when each prefetch of the settings runs next, and what its last run did;"
        " download nothing.",
    ),
]
_Bare = Annotated[
    bool,
    typer.Option(
        "--no-attached",
        help="Download only images, and not what is attached to them at the registry: signatures,"
        " SBOMs, attestations. It uses fewer requests of the pull limit.",
    ),
]


def warm(
    images: sources.Images = None,
    *,
    file: sources.Files = None,
    kind: sources.FileKind = None,
    guesses: sources.Guesses = False,
    env_file: sources.EnvFile = None,
    build_arg: sources.BuildArgs = None,
    pulled_since: sources.PulledSince = None,
    client: sources.Clients = None,
    pulled: sources.Pulled = None,
    platform: _Platforms = None,
    concurrency: _AtOnce = 2,
    no_attached: _Bare = False,
    explain: _Explain = False,
    scheduled: _Scheduled = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Download images, with their signatures and SBOMs, before anybody pulls them.

    What is stored already is not downloaded again: after an interruption, run it again.

    Example: helm template ./chart | entrepot images warm -f - redis:7
    """
    named = sources.Sources(
        images=images or (),
        files=file or (),
        kind=kind,
        guesses=guesses,
        env_file=env_file,
        build_args=build_arg or (),
        period=pulled_since,
        clients=client or (),
        pulled=pulled or (),
    )
    options = _Options(
        platforms=platform or (),
        at_once=concurrency,
        with_attached=not no_attached,
        explain=explain,
        as_json=as_json,
        quiet=quiet,
        dry_run=dry_run,
    )
    work = partial(show_scheduled, as_json=as_json) if scheduled else partial(_warm, named, options)
    opener = replace_missing if dry_run or explain or scheduled else create_missing
    operate(config, work, opener, quiet=quiet)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """How to download images; `platforms` are the texts of the option."""

    platforms: Sequence[str]
    at_once: int
    with_attached: bool
    explain: bool
    as_json: bool
    quiet: bool
    dry_run: bool


async def _warm(named: sources.Sources, options: _Options, session: Session) -> bool:
    sources.suggest_files(named.images)
    gathered = await sources.gather(session, named)
    print_notes(gathered, with_guesses=not options.explain)
    if named.is_history and not (gathered.entries or options.as_json):
        if not options.quiet:
            print_line(f"{sources.format_no_pulls(named)}; there is nothing to download")
        return True
    if options.explain:
        wanted = WantedImages.of(gathered.entries, gathered.guesses, gathered.notes)
        print_report(wanted, draw_explained, as_json=options.as_json)
        return gathered.is_complete
    if not (gathered.entries or named.is_history):
        sources.refuse_nothing(named, gathered)
    if session.settings.offline and gathered.entries:
        why = "offline = true, so no upstream is asked"
        fail(f"{why}; run this where the upstreams can be reached", MISUSED)
    from registry.wiring.pulls import open_warming  # noqa: PLC0415

    async with open_warming(session.settings) as (prefetcher, estimator):
        warm_run = _WarmRun(prefetcher, estimator, options)
        images, limits = await warm_run.estimate(gathered.entries, session.settings)
        bars = ProgressBars(prefetcher.measure, quiet=options.quiet)
        for line in draw_limits(limits):
            bars.print_line(line, err=True)
        if options.dry_run:
            for image in images:
                bars.print_line(format_planned(image), err=options.as_json)
        else:
            async with bars.show():
                await warm_run.run(gathered.entries, images, bars)
    found = WantedImages.of((), gathered.guesses, gathered.notes)
    result = WarmResult(images, limits, found.guesses, found.notes, bars.fetched, options.dry_run)
    finish(result, as_json=options.as_json, quiet=options.quiet)
    return gathered.is_complete and not result.failed


class _WarmRun:
    """One run of the command: the images that it downloads, and their results."""

    def __init__(
        self, prefetcher: "Prefetcher", estimator: "CostEstimator", options: _Options
    ) -> None:
        self._prefetcher = prefetcher
        self._estimator = estimator
        self._options = options
        self._platforms = choose_platforms(options.platforms)
        self._tracker = BudgetTracker({})

    async def estimate(
        self, entries: Sequence[Entry], settings: Settings
    ) -> tuple[list[WarmedImage], list[PullLimit]]:
        """Ask the upstreams what each image costs; return the estimates and the pull limits."""
        gate = asyncio.Semaphore(ESTIMATED_AT_ONCE)

        async def ask(entry: Entry) -> WarmedImage:
            image = WarmedImage.of(entry)
            try:
                require_upstream(settings, (entry.repository, entry.reference))
                async with gate:
                    found = await self._estimator.estimate(
                        entry.repository,
                        entry.reference,
                        self._platforms,
                        with_attached=self._options.with_attached,
                    )
                image.estimate = Estimate.of(found.least, found.most, found.missing)
                image.unavailable_platforms = found.unavailable
            except EntrepotError as error:
                _note_failure(image, error, entry.repository.registry)
            return image

        images = await asyncio.gather(*map(ask, entries))
        limits = await self._estimator.list_rate_limits()
        self._tracker = BudgetTracker(limits)
        registries = [entry.repository.registry for entry in entries]
        estimates = [image.estimate for image in images]
        needs = [(name, each) for name, each in zip(registries, estimates, strict=True) if each]
        return list(images), add_up(needs, limits)

    async def run(
        self, entries: Sequence[Entry], images: Sequence[WarmedImage], bars: ProgressBars
    ) -> None:
        """Download all images, several at once, and print a line for each that is complete."""
        gate = asyncio.Semaphore(self._options.at_once)

        async def fetch(entry: Entry, image: WarmedImage) -> None:
            async with gate:
                if image.estimate is not None:
                    await self._fetch(entry, image, image.estimate, bars)
                if not image.failures and not image.not_found:
                    bars.print_line(format_done(image), err=self._options.as_json)

        await asyncio.gather(*map(fetch, entries, images))

    async def _fetch(
        self, entry: Entry, image: WarmedImage, estimate: Estimate, bars: ProgressBars
    ) -> None:
        try:
            self._tracker.spend(entry.repository.registry, estimate.min_requests)
            found = await self._prefetcher.warm(
                entry.repository,
                entry.reference,
                self._platforms,
                watch=bars,
                with_attached=self._options.with_attached,
            )
        except EntrepotError as error:
            _note_failure(image, error, entry.repository.registry)
            return
        image.digest, image.fetched = str(found.digest), found.fetched
        image.attached, image.failures = found.attached, found.failures
        image.unavailable_platforms = found.unavailable
        image.only_platform = found.only_platform
        image.foreign_layers, image.warning = found.foreign, found.warning


def _note_failure(image: WarmedImage, error: EntrepotError, registry: str) -> None:
    """Record why an image failed; it is no failure if a guess turns out to be no image."""
    if image.guess and isinstance(error, Unknown):
        image.not_found = f"{image.image} only looks like an image, and was not found upstream"
    else:
        image.failures.append(explain_failure(error, registry))
