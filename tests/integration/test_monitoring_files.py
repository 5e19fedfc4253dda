"""The dashboard, the alerts and the page of operations name metrics that a server has."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from registry.console.state import State
from registry.metrics.process_metrics import Metrics
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.harness.commands import SHIPPED
from tests.harness.mirror import MirrorProcess
from tests.integration.images import keep, make_layer, pull
from tests.integration.wire import fetch, wait_until

CONFIG = SHIPPED.parent
PAGE = CONFIG.parent / "docs" / "monitoring.md"
NAME = re.compile(r"entrepot_[a-z_]+[a-z]")
PANELS = 12
ONLY_WITH_TLS = "entrepot_certificate_expiry_timestamp_seconds"  # see test_serve_tls.py


def read_dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CONFIG / "grafana" / "entrepot.json").read_text("utf-8"))
    return found


def list_expressions() -> Iterator[str]:
    """Yield what the panels and the alerts ask for."""
    for panel in read_dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    alerts = (CONFIG / "prometheus" / "alerts.yml").read_text("utf-8")
    yield from re.findall(r"expr:(.*?)(?:for|labels):", alerts, re.DOTALL)


def read_names(mirror: MirrorProcess) -> set[str]:
    """Return the names of all numbers that a server has."""
    lines = fetch(f"{mirror.console}/metrics").body.decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


def test_every_expression_names_what_a_server_has(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """After some traffic, also with a stale answer, each name of each expression is there."""
    image = hub.add_image("team/app", "1", [make_layer(1)])
    hub.pulls_left, hub.pulls_limit = 76, 100
    mirror = make_mirror({"tags": {"fresh_for": "0s"}}, workers=2)
    keep(mirror, image)
    pull(mirror, image)
    hub.faults.add(Fault("any", Status(503), times=None))
    fetch(f"{mirror.url}/v2/team/app/manifests/1")
    wanted = {name for expression in list_expressions() for name in NAME.findall(expression)}
    assert len(wanted) > 25
    wanted.remove(ONLY_WITH_TLS)

    wait_until(lambda: wanted <= read_names(mirror), "every name is there")


def test_the_dashboard_has_twelve_panels() -> None:
    """Each has a title, an explanation and a place of its own."""
    panels = read_dashboard()["panels"]

    assert len(panels) == PANELS
    assert all(panel["title"] and panel["description"] for panel in panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == PANELS


@pytest.mark.parametrize("words", ["sent", "hit", "first byte", "outcome", "limit", "evicted"])
def test_the_dashboard_explains_itself(words: str) -> None:
    """What people look for is in an explanation or a legend."""
    text = json.dumps(read_dashboard()).lower()
    assert words in text


def test_the_page_has_every_metric(mirror: MirrorProcess) -> None:
    """The table of monitoring.md names each metric of a server, and no other."""
    table = PAGE.read_text("utf-8").partition("| metric | labels |")[2].partition("\n\n")[0]
    lines = table.splitlines()[2:]
    documented = {name for line in lines for name in NAME.findall(line.split("|")[1])}
    body = fetch(f"{mirror.console}/metrics").body.decode()
    there = set(re.findall(r"^# TYPE (\S+)", body, re.MULTILINE))

    assert documented - list_all() == set()
    assert there - documented == set()
    assert list_all() - documented == set()


def list_all() -> set[str]:
    """Return the name of every metric of the code, as `/metrics` names its type."""
    state = State(0, 0, 0, "", certificates=(("server.tls_cert", 1.0),))
    found = [*Metrics().registry.collect(), *state.collect()]
    return {f"{each.name}_total" if each.type == "counter" else each.name for each in found}
