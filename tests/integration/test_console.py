"""The console: whether the mirror lives, whether it can serve, and what it counts."""

import os
import signal
from pathlib import Path

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until


def read_metrics(mirror: MirrorProcess) -> dict[str, float]:
    """Every sample by its name and labels."""
    lines = fetch(f"{mirror.console}/metrics").body.decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_a_running_mirror_is_alive_and_ready(shared_mirror: MirrorProcess) -> None:
    """`/livez` and `/readyz` are 200, and not on the port of the pulls."""
    wait_until(lambda: fetch(f"{shared_mirror.console}/readyz").status == 200, "readiness")

    assert fetch(f"{shared_mirror.console}/livez").status == 200
    assert fetch(f"{shared_mirror.url}/livez").status == 404
    assert fetch(f"{shared_mirror.console}/v2/").status == 404


def test_requests_are_counted_over_all_workers(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """The metrics of all processes are one: kind, status, origin, and the bytes that were kept."""
    image = hub.add_image("team/counted", "1", [b"counted" * 1000])
    mirror = make_mirror(workers=2)
    for _ in range(10):
        fetch(f"{mirror.url}/v2/team/counted/manifests/1")
    blob = f"{mirror.url}/v2/team/counted/blobs/{image.layers[0]}"
    fetch(blob)
    fetch(f"{mirror.url}/v2/team/counted/manifests/absent")

    def count(kind: str, status: int, origin: str) -> float:
        labels = f'kind="{kind}",origin="{origin}",status="{status}"'
        return read_metrics(mirror).get(f"entrepot_requests_total{{{labels}}}", 0.0)

    wait_until(lambda: count("manifests", 200, "miss") == 1, "the miss is counted")
    wait_until(lambda: count("manifests", 200, "hit") == 9, "the hits are counted")
    wait_until(lambda: count("manifests", 404, "") == 1, "the absence is counted")
    kept = float(len(b"counted" * 1000) + len(image.manifest))
    wait_until(lambda: read_metrics(mirror).get("entrepot_stored_bytes_total") == kept, "the bytes")


def test_a_mirror_whose_workers_are_stuck_is_not_ready(make_mirror: MirrorMaker) -> None:
    """Without a worker that answers `/readyz` is 503 and says so; `/livez` is still 200."""
    mirror = make_mirror(workers=1)
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness")
    children = Path(f"/proc/{mirror.pid}/task/{mirror.pid}/children").read_text().split()
    worker = int(children[1])

    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 503, "it is not ready")
    body = fetch(f"{mirror.console}/readyz").body
    alive = fetch(f"{mirror.console}/livez").status
    os.kill(worker, signal.SIGCONT)

    assert b"no pull worker" in body
    assert alive == 200
    wait_until(lambda: fetch(f"{mirror.console}/readyz").status == 200, "readiness again")
