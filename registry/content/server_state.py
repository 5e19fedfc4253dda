"""What the metrics of the running servers say of the present."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.metrics.collection import read_values
from registry.metrics.upstream_metrics import LAST_SUCCESS, UP
from registry.store.run_folder import find_console, list_running


@dataclass(frozen=True, slots=True)
class EndpointState:
    """Whether an endpoint answers; None if it was not asked since the server has started.

    `last_success` is when it last answered (epoch seconds; 0: not since then).
    """

    answers: bool | None = None
    last_success: float = 0.0


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


def read_server_state(metrics: Path) -> ServerState:
    """Return the state of the servers whose metrics are in folders of `metrics`.

    Raises:
        StoreError: the disk refused.
    """
    running = list_running(metrics)
    up: dict[tuple[str, str], bool] = {}
    last_success: dict[tuple[str, str], float] = {}
    for each in read_values(running):
        key = each.labels.get("upstream", ""), each.labels.get("endpoint", "")
        if each.name == UP:
            up[key] = bool(each.number) or up.get(key, False)
        elif each.name == LAST_SUCCESS:
            last_success[key] = max(each.number, last_success.get(key, 0.0))
    endpoints = {key: EndpointState(each, last_success.get(key, 0.0)) for key, each in up.items()}
    return ServerState([find_console(each) for each in running], endpoints)
