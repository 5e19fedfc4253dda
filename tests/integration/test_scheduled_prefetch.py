"""A server that prefetches on a schedule: lists, images, history, pull limit and reload."""

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.images import ask, is_warm, make_layer, pull
from tests.integration.wire import wait_until


def await_runs(mirror: MirrorProcess, count: int) -> list[dict[str, object]]:
    wait_until(lambda: len(mirror.events("prefetch done")) >= count, "the prefetch has run")
    return mirror.events("prefetch done")


def test_images_are_there_before_anybody_pulls(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path
) -> None:
    """Named and listed images are downloaded at the start; one that fails is logged.

    No registry is asked for a name with a token of a mirror in it.
    """
    named = hub.add_image("night/named", "1", [make_layer(1)])
    listed = hub.add_image("night/listed", "1", [make_layer(2)])
    misplaced = f"t/ent_abcd2345_{'abcdefgh' * 4}/night/listed:1"
    (tmp_path / "images.txt").write_text(
        f"night/listed:1\nnight/nosuch:1\nother.example/a:1\n{misplaced}\n"
    )
    prefetch = {
        "name": "nightly",
        "every": "6h",
        "images": ["night/named:1"],
        "lists": [str(tmp_path / "images.txt"), str(tmp_path / "nosuch.txt")],
        "platforms": ["linux/amd64"],
    }
    mirror = make_mirror({"prefetch": [prefetch]}, workers=1)

    [done] = await_runs(mirror, 1)

    assert {key: done[key] for key in ("name", "images", "complete", "failed", "skipped")} == {
        "name": "nightly",
        "images": 3,
        "complete": 2,
        "failed": 1,
        "skipped": 0,
    }
    assert is_warm(mirror, named, listed)
    lost = {each["image"] for each in mirror.events("image not prefetched")}
    hidden = "t/ent_********/night/listed:1"
    assert lost == {"docker.io/night/nosuch:1", "other.example/a:1", hidden}
    assert not [each for each in hub.journal if "ent_" in each.path]
    [unread] = mirror.events("list not prefetched")
    assert "nosuch.txt: cannot be read" in unread["why"]
    wait_until(lambda: mirror.events("prefetch planned"), "the next run is planned")
    assert ask(mirror.data, "SELECT name FROM prefetch_runs") == [("nightly",)]


def test_a_reload_adds_a_prefetch_of_what_clients_pulled(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """After SIGHUP, the tag that a client pulled is refreshed, within the pull limit."""
    pulled = hub.add_image("night/pulled", "1", [make_layer(3)])
    mirror = make_mirror(workers=1)
    pull(mirror, pulled)
    moved = hub.add_image("night/pulled", "1", [make_layer(4)])
    table = '[[prefetch]]\nname = "history"\nevery = "6h"\nhistory = "30d"\n'
    settings = mirror.config.read_text()

    mirror.config.write_text(f"{settings}\n{table}")
    os.kill(mirror.pid, signal.SIGHUP)
    [done] = await_runs(mirror, 1)

    assert (done["images"], done["complete"]) == (1, 1)
    assert is_warm(mirror, moved)

    hub.pulls_left, hub.pulls_limit = 10, 10
    again = hub.add_image("night/pulled", "1", [make_layer(5)])
    pull(mirror, hub.add_image("night/other", "1", [make_layer(6)]))  # the limit becomes known
    limited = table.replace("history", "limited", 1)
    mirror.config.write_text(f"{settings}\n{limited}")
    os.kill(mirror.pid, signal.SIGHUP)
    done = await_runs(mirror, 2)[1]

    assert (done["name"], done["skipped"]) == ("limited", 1)
    assert not is_warm(mirror, again)


@pytest.mark.parametrize("is_cosign", [True, False])
def test_signatures_leave_the_reserved_pulls(
    make_mirror: MirrorMaker, hub: FakeUpstream, *, is_cosign: bool
) -> None:
    """Signatures whose number nobody knows before take no request that `keep_pulls` reserves."""
    image = hub.add_image("night/signed", "1", [make_layer(7)])
    if is_cosign:
        names = [f"{image.digest.replace(':', '-', 1)}.{kind}" for kind in ("sig", "att", "sbom")]
        signatures = [hub.add_image("night/signed", each, [each.encode()]) for each in names]
    else:
        layers = [f"signature {number}".encode() for number in range(3)]
        signatures = [hub.add_image("night/signed", None, [each], subject=image) for each in layers]
    hub.pulls_left = hub.pulls_limit = 7  # one for the image, so one for its three signatures
    prefetch = {"name": "nightly", "every": "6h", "images": ["night/signed:1"], "keep_pulls": 5}
    mirror = make_mirror({"prefetch": [prefetch]}, workers=1)

    [done] = await_runs(mirror, 1)

    assert (done["complete"], done["failed"], done["skipped"]) == (0, 0, 1)
    assert hub.pulls_left == 5
    assert is_warm(mirror, image)
    assert [is_warm(mirror, each) for each in signatures].count(True) == 1
    assert mirror.events("endpoint failed") == []
