"""What comes of each image that is warmed, and how it is told."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from registry.cli.platforms import tell_absent
from registry.cli.sources import Gathered
from registry.cli.words import tell_size
from registry.errors import EntrepotError, Unknown
from registry.lists.wanted import Entry
from registry.oci.names import spell_image

if TYPE_CHECKING:
    from registry.mirror.foresight import Forecast


@dataclass(slots=True)
class Outcome:
    """What came of one image.

    `forecast` is what it would cost, `no_image` a guess that was none, `absent` the platforms asked
    for that it is not made for.
    """

    entry: Entry
    forecast: "Forecast | None" = None
    digest: str = ""
    fetched: int = 0
    attached: int = 0
    failures: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    no_image: str = ""

    @property
    def name(self) -> str:
        """The image as people write it."""
        return spell_image(self.entry.repository, self.entry.reference)

    def fail(self, error: EntrepotError) -> None:
        """Note what it failed with; what only looked like an image need not be there."""
        from registry.mirror.warming import tell_failure  # noqa: PLC0415

        if self.entry.is_guess and isinstance(error, Unknown):
            self.no_image = f"{self.name} looked like an image, and is none: {error}"
        else:
            self.failures.append(tell_failure(error))


def tell(outcome: Outcome) -> str:
    """Say what came of an image."""
    told = f"{tell_size(outcome.fetched)} fetched" if outcome.fetched else "up to date"
    attached = f", with {outcome.attached} attached" if outcome.attached else ""
    return f"{outcome.name}: {told}{attached}"


def foretell(outcome: Outcome) -> str:
    """Say what would come of an image."""
    forecast = outcome.forecast
    if forecast is None:
        return f"{outcome.name}: cannot be warmed"
    if forecast.missing is None:
        return f"would warm {outcome.name}: its size is not known yet"
    if not forecast.missing:
        return f"{outcome.name}: is here"
    return f"would warm {outcome.name}: {tell_size(forecast.missing)}"


def conclude(
    gathered: Gathered,
    outcomes: Sequence[Outcome],
    fetched: int,
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Say what failed and where it is wanted, and how much came in all."""
    failed = [each for each in outcomes if each.failures]
    for each in outcomes:
        if each.no_image:
            typer.echo(f"entrepot: {each.no_image}", err=True)
        if each.absent:
            typer.echo(f"entrepot: {tell_absent(each.name, each.absent)}", err=True)
    for each in failed:
        for why in each.failures:
            typer.echo(f"entrepot: {each.name} failed: {why}", err=True)
        for place in each.entry.places:
            typer.echo(f"  wanted by {place}", err=True)
    if as_json:
        facts: dict[str, object] = {"images": [_list_facts(each) for each in outcomes]}
        facts |= {"notes": list(map(str, gathered.notes)), "fetched": fetched, "dry_run": dry_run}
        typer.echo(json.dumps(facts))
    elif failed:
        typer.echo(f"entrepot: {len(failed)} of {len(outcomes)} images failed", err=True)
    elif not dry_run:
        here = "1 image is" if len(outcomes) == 1 else f"{len(outcomes)} images are"
        typer.echo(f"{here} here, {tell_size(fetched)} fetched")


def _list_facts(outcome: Outcome) -> dict[str, object]:
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
        "failures": outcome.failures,
    }
