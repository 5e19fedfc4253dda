"""`entrepot images warm`: have images here before anybody asks for them."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.images import sources
from registry.cli.images.progress import ProgressBars
from registry.cli.images.rate_limits import BudgetTracker, print_budgets
from registry.cli.images.warm_report import ImageOutcome, conclude, foretell, tell
from registry.cli.platforms import read_wished
from registry.cli.session import (
    Config,
    DryRun,
    Json,
    Session,
    first_session,
    operate,
    temporary_session,
)
from registry.errors import EntrepotError, NameUnknown, SettingsError
from registry.image_lists.results import Entry

if TYPE_CHECKING:
    from registry.mirror.prefetch import Prefetcher
    from registry.mirror.prefetch_cost import CostEstimate, CostEstimator

LOOKS = 8  # images that are asked about at once before anything is fetched

_Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH",
        help="For these (a,b or repeated), or all. Without, for this machine's.",
    ),
]
_AtOnce = Annotated[
    int, typer.Option("--concurrency", metavar="N", min=1, max=64, help="Images at once.")
]
_Explain = Annotated[
    bool, typer.Option("--explain", help="Show where each image is wanted; ask and fetch nothing.")
]
_Bare = Annotated[
    bool,
    typer.Option(
        "--no-attached", help="Leave out signatures, SBOMs, attestations: saves pull budget."
    ),
]


def warm(
    images: sources.Images = None,
    *,
    file: sources.Files = None,
    kind: sources.FileKind = None,
    env_file: sources.EnvFile = None,
    build_arg: sources.BuildArgs = None,
    pulled_since: sources.PulledSince = None,
    client: sources.Clients = None,
    pulled: sources.Pulled = None,
    platform: _Platforms = None,
    concurrency: _AtOnce = 2,
    no_attached: _Bare = False,
    explain: _Explain = False,
    config: Config = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Fetch images, with their signatures and SBOMs, before anybody pulls them.

    What is here already costs nothing; interrupted, it goes on where it was.

    Example: helm template ./chart | entrepot images warm -f - -f compose.yaml redis:7
    """
    named = sources.Sources(
        images=images or (),
        files=file or (),
        kind=kind,
        env_file=env_file,
        build_args=build_arg or (),
        period=pulled_since,
        clients=client or (),
        pulled=pulled or (),
    )

    manner = _Manner(
        platforms=platform or (),
        at_once=concurrency,
        with_attached=not no_attached,
        is_explaining=explain,
        as_json=as_json,
        dry_run=dry_run,
    )

    async def work(session: Session) -> bool:
        return await _warm(session, named, manner)

    operate(config, work, temporary_session if dry_run or explain else first_session)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manner:
    """How it is to be done."""

    platforms: Sequence[str]
    at_once: int
    with_attached: bool
    is_explaining: bool
    as_json: bool
    dry_run: bool


async def _warm(session: Session, named: sources.Sources, manner: _Manner) -> bool:
    gathered = await sources.gather(session, named)
    sources.print_notes(gathered)
    if manner.is_explaining:
        _explain(gathered, as_json=manner.as_json)
        return True
    if not gathered.entries:
        sources.refuse_nothing(named)
    if session.settings.offline:
        cure = "warm where the upstreams can be reached"
        raise SettingsError("offline", "is true, so nothing can be fetched", cure)
    from registry.wiring.pulls import open_warming  # noqa: PLC0415

    async with open_warming(session.settings) as (prefetcher, estimator):
        warm_run = _WarmRun(prefetcher, estimator, manner)
        outcomes = await warm_run.estimate(gathered.entries, tuple(session.settings.upstreams))
        bars = ProgressBars(prefetcher.measure)
        if manner.dry_run:
            for each in outcomes:
                typer.echo(foretell(each), err=manner.as_json)
        else:
            async with bars.show():
                await warm_run.run(outcomes, bars)
    conclude(gathered, outcomes, bars.fetched, as_json=manner.as_json, dry_run=manner.dry_run)
    return not any(each.failures for each in outcomes)


class _WarmRun:
    """The images of one command, on their way."""

    def __init__(
        self, prefetcher: "Prefetcher", estimator: "CostEstimator", manner: _Manner
    ) -> None:
        self._prefetcher = prefetcher
        self._foresight = estimator
        self._manner = manner
        self._platforms = read_wished(manner.platforms)
        self._tracker = BudgetTracker({})

    async def estimate(
        self, entries: Sequence[Entry], upstreams: Sequence[str]
    ) -> list[ImageOutcome]:
        """Ask what is needed, say so beside what may be spent, and return it."""
        gate = asyncio.Semaphore(LOOKS)

        async def look(entry: Entry) -> ImageOutcome:
            outcome = ImageOutcome(entry)
            try:
                if entry.repository.registry not in upstreams:
                    raise NameUnknown(entry.repository.registry, upstreams)
                async with gate:
                    outcome.forecast = await self._foresight.estimate(
                        entry.repository,
                        entry.reference,
                        self._platforms,
                        with_attached=self._manner.with_attached,
                    )
                    outcome.absent = outcome.forecast.unavailable
            except EntrepotError as error:
                outcome.fail(error)
            return outcome

        outcomes = await asyncio.gather(*map(look, entries))
        budgets = await self._foresight.list_rate_limits()
        self._tracker = BudgetTracker(budgets)
        needs = [(each.entry.repository.registry, each.forecast) for each in outcomes]
        print_budgets([(name, each) for name, each in needs if each is not None], budgets)
        return outcomes

    async def run(self, outcomes: Sequence[ImageOutcome], bars: ProgressBars) -> None:
        """Fetch all, some at once, each told of when it is done; what failed before is let be."""
        gate = asyncio.Semaphore(self._manner.at_once)

        async def fetch(outcome: ImageOutcome) -> None:
            async with gate:
                if outcome.forecast is not None:
                    await self._fetch(outcome, outcome.forecast, bars)
                if not outcome.failures and not outcome.no_image:
                    bars.tell(tell(outcome), err=self._manner.as_json)

        await asyncio.gather(*map(fetch, outcomes))

    async def _fetch(
        self, outcome: ImageOutcome, forecast: "CostEstimate", bars: ProgressBars
    ) -> None:
        entry = outcome.entry
        try:
            self._tracker.spend(entry.repository.registry, forecast.least)
            warmed_image = await self._prefetcher.warm(
                entry.repository,
                entry.reference,
                self._platforms,
                watch=bars,
                with_attached=self._manner.with_attached,
            )
        except EntrepotError as error:
            outcome.fail(error)
            return
        outcome.digest, outcome.fetched = str(warmed_image.digest), warmed_image.fetched
        outcome.attached, outcome.failures = warmed_image.attached, warmed_image.failures
        outcome.absent, outcome.foreign = warmed_image.unavailable, warmed_image.only_platform


def _explain(gathered: sources.Gathered, *, as_json: bool) -> None:
    if as_json:
        facts = {"images": sources.list_places(gathered), "notes": list(map(str, gathered.notes))}
        typer.echo(json.dumps(facts))
    else:
        sources.print_places(gathered)
