"""What the metrics of the running servers say of the present."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from registry.metrics.collection import read_values
from registry.metrics.upstream_metrics import LAST_SUCCESS, REQUESTS, UP
from registry.store.run_folder import find_console, list_running


@dataclass(frozen=True, slots=True)
class EndpointState:
    """Whether an endpoint answers; None if it was not asked since the server has started.

    `last_success` is when it last answered (epoch seconds; 0: not since then). `outcomes` says how
    many requests to it ended in which way, such as `ok` or `absent`.
    """

    answers: bool | None = None
    last_success: float = 0.0
    outcomes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerState:
    """Which servers are running, and which of the endpoints that they have asked answer.

    `consoles` are the addresses of the consoles of all that run, as far as they are known (else
    empty). `endpoints` are by upstream and origin, and only those that were asked.
    """

    consoles: Sequence[str]
    endpoints: Mapping[tuple[str, str], EndpointState]

    @property
    def is_running(self) -> bool:
        """Whether a server is running."""
        return bool(self.consoles)

    def list_outcomes(self) -> dict[tuple[str, str], Mapping[str, int]]:
        """Return how many requests ended in which way, by upstream and origin."""
        return {key: each.outcomes for key, each in self.endpoints.items()}


def read_server_state(metrics: Path) -> ServerState:
    """Return the state of the servers whose metrics are in folders of `metrics`.

    Raises:
        StoreError: the disk refused.
    """
    running = list_running(metrics)
    up: dict[tuple[str, str], bool] = {}
    last_success: dict[tuple[str, str], float] = {}
    outcomes: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for each in read_values(running):
        key = each.labels.get("upstream", ""), each.labels.get("endpoint", "")
        if each.name == UP:
            up[key] = bool(each.number) or up.get(key, False)
        elif each.name == LAST_SUCCESS:
            last_success[key] = max(each.number, last_success.get(key, 0.0))
        elif each.name == f"{REQUESTS}_total":
            outcome = each.labels.get("outcome", "")
            outcomes[key][outcome] = outcomes[key].get(outcome, 0) + int(each.number)
    endpoints = {
        key: EndpointState(each, last_success.get(key, 0.0), dict(sorted(outcomes[key].items())))
        for key, each in up.items()
    }
    return ServerState([find_console(each) for each in running], endpoints)
