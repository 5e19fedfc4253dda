"""What comes of each image that is warmed, and how it is told."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from registry.cli.images.sources import Gathered
from registry.cli.platforms import tell_absent, tell_foreign
from registry.cli.terminal import format_bytes
from registry.errors import EntrepotError, Unknown
from registry.image_lists.results import Entry
from registry.oci.names import format_image

if TYPE_CHECKING:
    from registry.mirror.prefetch_cost import CostEstimate


@dataclass(slots=True)
class ImageOutcome:
    """What came of one image.

    `forecast` is what it would cost, `no_image` a guess that was none, `absent` the platforms asked
    for that it is not made for, `foreign` the only one of an image without an index.
    """

    entry: Entry
    forecast: "CostEstimate | None" = None
    digest: str = ""
    fetched: int = 0
    attached: int = 0
    failures: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    foreign: str = ""
    no_image: str = ""

    @property
    def name(self) -> str:
        """The image as people write it."""
        return format_image(self.entry.repository, self.entry.reference)

    def fail(self, error: EntrepotError) -> None:
        """Note what it failed with; what only looked like an image need not be there."""
        from registry.mirror.prefetch import format_failure  # noqa: PLC0415

        if self.entry.is_guess and isinstance(error, Unknown):
            self.no_image = f"{self.name} looked like an image, and is none: {error}"
        else:
            self.failures.append(format_failure(error))


def tell(outcome: ImageOutcome) -> str:
    """Say what came of an image."""
    told = f"{format_bytes(outcome.fetched)} fetched" if outcome.fetched else "up to date"
    attached = f", with {outcome.attached} attached" if outcome.attached else ""
    return f"{outcome.name}: {told}{attached}"


def foretell(outcome: ImageOutcome) -> str:
    """Say what would come of an image."""
    forecast = outcome.forecast
    if forecast is None:
        return f"{outcome.name}: cannot be warmed"
    if forecast.missing is None:
        return f"would warm {outcome.name}"
    if not forecast.missing:
        return f"{outcome.name}: is here"
    return f"would warm {outcome.name}: {format_bytes(forecast.missing)}"


def _foretell_all(outcomes: Sequence[ImageOutcome]) -> str:
    """Add up what would come; layers that several images share are in it more than once."""
    sizes = [each.forecast.missing for each in outcomes if each.forecast is not None]
    known, unknown = sum(size or 0 for size in sizes), sizes.count(None)
    lacking = len(sizes) - sizes.count(0)
    told = [f"up to {format_bytes(known)}"] if known else []
    told += [f"{unknown} of a size that is not known yet"] if unknown else []
    return f"would warm {lacking} of {len(sizes)} images" + f": {', and '.join(told)}" * bool(told)


def conclude(
    gathered: Gathered,
    outcomes: Sequence[ImageOutcome],
    fetched: int,
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Say what failed and where it is wanted, and how much came in all."""
    failed = [each for each in outcomes if each.failures]
    for remark in _list_remarks(outcomes):
        typer.echo(f"entrepot: {remark}", err=True)
    for each in failed:
        for why in each.failures:
            typer.echo(f"entrepot: {each.name} failed: {why}", err=True)
        for place in each.entry.places:
            typer.echo(f"  wanted by {place}", err=True)
    if as_json:
        facts: dict[str, object] = {"images": [_list_facts(each) for each in outcomes]}
        facts |= {"notes": list(map(str, gathered.notes)), "fetched": fetched, "dry_run": dry_run}
        typer.echo(json.dumps(facts))
    elif dry_run:
        typer.echo(_foretell_all(outcomes))
    if failed and not as_json:
        typer.echo(f"entrepot: {len(failed)} of {len(outcomes)} images failed", err=True)
    elif not (as_json or dry_run):
        here = "1 image is" if len(outcomes) == 1 else f"{len(outcomes)} images are"
        typer.echo(f"{here} here, {format_bytes(fetched)} fetched")


def _list_remarks(outcomes: Sequence[ImageOutcome]) -> Iterator[str]:
    for each in outcomes:
        if each.no_image:
            yield each.no_image
        if each.absent:
            yield tell_absent(each.name, each.absent)
        if each.foreign:
            yield tell_foreign(each.name, each.foreign)


def _list_facts(outcome: ImageOutcome) -> dict[str, object]:
    forecast = outcome.forecast
    costs = None
    if forecast is not None:
        # JSON has no infinity.
        most = int(forecast.most) if forecast.most < 2**31 else None
        costs = {"least": forecast.least, "most": most, "missing": forecast.missing}
    return {
        "image": outcome.name,
        "digest": outcome.digest,
        "places": list(outcome.entry.places),
        "guess": outcome.entry.is_guess,
        "fetched": outcome.fetched,
        "attached": outcome.attached,
        "forecast": costs,
        "absent": outcome.absent,
        "foreign": outcome.foreign,
        "failures": outcome.failures,
    }
