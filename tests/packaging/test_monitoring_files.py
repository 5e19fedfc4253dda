"""What Prometheus itself says of the metrics of a server, and of the alerts."""

import os
import shutil
import subprocess

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import SHIPPED
from tests.integration.images import keep, make_layer
from tests.integration.wire import fetch, wait_until

ALERTS = SHIPPED.parent / "prometheus"


def run_promtool(*arguments: str, given: bytes = b"") -> None:
    """Run `promtool` of the Debian package `prometheus`, which has to find nothing."""
    program = shutil.which("promtool")
    if program is None:
        assert not os.environ.get("CI"), "install promtool: .ci/install-packages prometheus"
        pytest.skip("promtool is missing: .ci/install-packages prometheus")
    done = subprocess.run(
        [program, *arguments], input=given, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert done.stderr == b"", done.stderr.decode()


def test_the_metrics_are_in_good_form(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Names, units and help texts are as Prometheus wants them."""
    mirror = make_mirror(workers=2)
    keep(mirror, hub.add_image("team/app", "1", [make_layer(1)]))

    def read() -> bytes:
        return fetch(f"{mirror.console}/metrics").body

    wait_until(lambda: b"entrepot_upstream_requests_total{" in read(), "the requests are counted")
    run_promtool("check", "metrics", given=read())


def test_the_alerts_are_in_good_form() -> None:
    run_promtool("check", "rules", str(ALERTS / "alerts.yml"))


def test_each_alert_fires_when_it_should() -> None:
    """The tests beside the alerts hold, and each alert is in them."""
    files = [ALERTS / "alerts_test.yml", ALERTS / "alerts_days_test.yml"]
    tests = "".join(each.read_text(encoding="utf-8") for each in files)
    alerts = [
        line.partition("alert:")[2].strip()
        for line in (ALERTS / "alerts.yml").read_text(encoding="utf-8").splitlines()
        if "- alert:" in line
    ]
    assert len(alerts) > 10
    assert [each for each in alerts if tests.count(each) < 2] == []

    run_promtool("test", "rules", *map(str, files))
