"""Sharing the rate of the link to an upstream among processes. Pure.

Each process says what its downloads for clients and its downloads for warming want, and computes
from what all say what it may use itself (decision record 0034).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

KEPT = 0.05  # the part of a limited rate that warming gets whatever clients want
BESIDE = 0.05  # of what clients get: what warming may use on a link whose rate nobody knows
LEAST = 64 * 1024.0  # bytes a second that all warming together may use in any case
GROWTH = 1.5  # times what it used lately may a download use that did not have to wait


@dataclass(frozen=True, slots=True)
class Demand:
    """What the downloads of one process want, those for clients or those for warming.

    There are so many `downloads` that receive or wait. Together they `used` so many bytes a second
    lately. `is_held` says whether they had to wait, so that they want more.
    """

    downloads: int = 0
    used: float = 0.0
    is_held: bool = False

    @property
    def wanted(self) -> float:
        """How many bytes a second they would use if they might."""
        if not self.downloads:
            return 0.0
        return math.inf if self.is_held else self.used * GROWTH + LEAST


@dataclass(frozen=True, slots=True)
class ProcessDemand:
    """What one process wants of the link to an upstream."""

    clients: Demand = Demand()
    warming: Demand = Demand()


@dataclass(frozen=True, slots=True)
class Shares:
    """How many bytes a second a process may use for clients, and for warming."""

    clients: float
    warming: float


def share_rate(rate: float, demands: Sequence[ProcessDemand]) -> list[Shares]:
    """Return the shares of processes in a rate of bytes a second (infinity: unlimited).

    Clients come first. Warming gets what they leave, but at least a twentieth of the rate. If the
    rate is not limited, nobody knows what they leave: while downloads for clients run, all warming
    together then gets a twentieth of what these get. Downloads share equally; one that wants less
    leaves the rest to the others. The shares of processes that want something add up to no more
    than the rate. A process that wants nothing gets as much as if it were alone: its next download
    begins before the next shares are known.
    """
    clients = [each.clients for each in demands]
    warming = [each.warming for each in demands]
    has_clients = any(each.downloads for each in clients)
    has_warming = any(each.downloads for each in warming)
    if math.isinf(rate):
        used = sum(each.used for each in clients if each.downloads)
        first = [math.inf] * len(demands)
        second = _fill(max(LEAST, BESIDE * used) if has_clients else math.inf, warming)
    elif has_clients and has_warming:
        first = [
            min(share, each.wanted) if each.downloads else share
            for share, each in zip(_fill(rate * (1 - KEPT), clients), clients, strict=True)
        ]
        used = sum(share for share, each in zip(first, clients, strict=True) if each.downloads)
        second = _fill(rate - used, warming)
    else:
        first, second = _fill(rate, clients), _fill(rate, warming)
    return [Shares(*each) for each in zip(first, second, strict=True)]


def _fill(rate: float, demands: Sequence[Demand]) -> list[float]:
    """Share a rate by the number of downloads; what some do not want is for the others.

    What nobody wants is shared too: then the next download need not wait. Whoever has no download
    gets all, which counts only until it has one.
    """
    if math.isinf(rate):
        return [math.inf] * len(demands)
    shares = [rate] * len(demands)
    hungry = [number for number, each in enumerate(demands) if each.downloads]
    # Those that want least per download come first: what they leave is for the others.
    hungry.sort(key=lambda number: demands[number].wanted / demands[number].downloads)
    left, count = rate, sum(demands[number].downloads for number in hungry)
    for number in hungry:
        each = demands[number]
        shares[number] = min(each.wanted, left * each.downloads / count)
        left, count = left - shares[number], count - each.downloads
    total = sum(demands[number].downloads for number in hungry)
    for number in hungry:
        shares[number] += max(0.0, left) * demands[number].downloads / total
    return shares
