"""Pull budgets: what a command needs of them, what there is, and how it is kept."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from registry.cli.terminal import format_age
from registry.errors import UpstreamThrottled
from registry.settings.values import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.mirror.prefetch_cost import CostEstimate
    from registry.oci.rate_limits import RateLimit


class BudgetTracker:
    """What may be spent at each upstream; who has told of no limit has none."""

    def __init__(self, budgets: "Mapping[str, RateLimit]") -> None:
        self._budgets = budgets
        self._left = {registry: budget.remaining for registry, budget in budgets.items()}

    def spend(self, registry: str, requests: int) -> None:
        """Set aside what an image needs at least.

        Raises:
            UpstreamThrottled: there is too little left, so that it would be begun in vain.
        """
        left = self._left.get(registry)
        if left is None:
            return
        if requests > left:
            why = f"needs {requests} counted requests or more, and {left} are left of its budget"
            raise UpstreamThrottled(registry, why, self._budgets[registry].period)
        self._left[registry] = left - requests


def print_budgets(
    needs: "Sequence[tuple[str, CostEstimate]]", budgets: "Mapping[str, RateLimit]"
) -> None:
    """Say on stderr what will be taken of which budget, before anything is."""
    for registry in dict.fromkeys(name for name, _ in needs):
        least = sum(each.least for name, each in needs if name == registry)
        most = sum(each.most for name, each in needs if name == registry)
        if not most:
            continue
        budget = budgets.get(registry)
        told = f"{registry}: needs {_tell_range(least, most)} counted manifest requests"
        if budget is None:
            told += "; it tells of no limit"
        else:
            period = format_duration(budget.period)
            told += f", {budget.remaining} of {budget.allowed} in {period} are left"
            told += f" (told {format_age(budget.seen)})"
            if least > budget.remaining:
                told += "; those beyond that will fail: warm again later, it goes on"
        typer.echo(told, err=True)


def _tell_range(least: int, most: float) -> str:
    if math.isinf(most):
        return f"{least} or more"
    return f"{least}" if least == most else f"{least} to {most:.0f}"
