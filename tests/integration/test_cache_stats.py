"""`entrepot cache stats`: what was not downloaded again, and what is being downloaded."""

import time
from concurrent.futures import ThreadPoolExecutor

from registry.cli.terminal import format_bytes
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.integration.images import keep, make_layer, pull, run_json
from tests.integration.wire import fetch, wait_until

MIB = 1 << 20
SIZE = 320_000


def test_stats_say_what_was_not_downloaded_again(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """Hits and saved bytes are those of all workers; without a server they are not known."""
    mirror = make_mirror(workers=2)
    image = hub.add_image("saved/app", "1", [make_layer(1, SIZE)])
    empty = run_json(mirror, "cache", "stats")["savings"]
    keep(mirror, image)
    pull(mirror, image)
    pull(mirror, image)

    size = len(image.manifest) + sum(image.sizes.values())
    # The last bytes are counted a moment after the client has them.
    wait_until(
        lambda: run_json(mirror, "cache", "stats")["savings"]["sent"] == 3 * size, "all is counted"
    )
    savings = run_json(mirror, "cache", "stats")["savings"]
    plain = mirror.run("cache", "stats").stdout
    mirror.stop()
    stopped = mirror.run("cache", "stats").stdout

    assert (empty["requests"], empty["hit_ratio"]) == (0, 0.0)
    assert (savings["requests"], savings["hits"]) == (9, 6)
    assert savings["hit_ratio"] == round(6 / 9, 4)
    assert (savings["sent"], savings["saved"]) == (3 * size, 2 * size)
    assert time.time() - 60 < savings["since"] < time.time()
    assert "hit ratio      66.7% of 9 answers since the server started, just now" in plain
    assert f"saved          {format_bytes(2 * size)} of the {format_bytes(3 * size)} that" in plain
    assert "hit ratio      not known: no server is running" in stopped


def test_ranges_and_clients_that_leave_save_nothing(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """A layer that one client gets in parallel ranges saves nothing, if nobody got it whole."""
    mirror = make_mirror(workers=2)
    digest = hub.add_big_blob(8 * MIB, repository="parallel/app")
    hub.rate = 16 * MIB
    url = f"{mirror.url}/v2/parallel/app/blobs/{digest}"
    ranges = [f"bytes={n * MIB}-{(n + 1) * MIB - 1}" for n in range(6)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: fetch(url, {"Range": each}), ranges))
    wait_until(
        lambda: run_json(mirror, "cache", "stats")["savings"]["requests"] == 6, "all is counted"
    )
    savings = run_json(mirror, "cache", "stats")["savings"]

    assert {answer.status for answer in answers} == {206}
    stored = sum(answer.origin == "hit" for answer in answers)
    assert (savings["requests"], savings["hits"], savings["saved"]) == (6, stored, 0)


def test_stats_say_what_is_downloading(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """What is here of what is expected, and apart from it what an earlier download left."""
    mirror = make_mirror(workers=1)
    digest = hub.add_big_blob(8 * MIB, repository="slow/app")
    hub.rate = 2 * MIB
    idle = run_json(mirror, "cache", "stats")["downloads"]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(fetch, f"{mirror.url}/v2/slow/app/blobs/{digest}")
        wait_until(lambda: list((mirror.data / "spool").glob("*.json")), "the download is running")
        busy = run_json(mirror, "cache", "stats")["downloads"]
        plain = mirror.run("cache", "stats").stdout
        mirror.kill()
        running.exception()
    left = run_json(mirror, "cache", "stats")["downloads"]

    nothing = {"count": 0, "arrived": 0, "expected": 0, "interrupted": 0}
    assert idle == nothing
    assert (busy["count"], busy["expected"], busy["interrupted"]) == (1, 8 * MIB, 0)
    assert 0 < busy["arrived"] < 8 * MIB
    assert " of 8 MiB in 1 blob" in plain
    assert left == nothing | {"interrupted": left["interrupted"]}
    assert left["interrupted"] >= busy["arrived"]
