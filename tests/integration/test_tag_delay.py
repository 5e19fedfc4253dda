"""A tag that moved keeps its former image until the new one is old enough, or released."""

import json
import time

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.integration.moved_tags import (
    NAME,
    SOON,
    add,
    await_image,
    await_workers,
    count,
    is_former,
    pull,
    pull_blobs,
    run,
    start,
)
from tests.integration.wire import wait_until


def test_a_moved_tag_waits_until_it_is_released(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """In all workers, after a restart, during an outage and offline; and then it is served."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub, workers=2, min_age="forever")
    assert pull(mirror).body == first.manifest
    pull_blobs(mirror, first)
    second = add(hub, "second")

    assert all(is_former(pull(mirror), first, second) for _ in range(10))
    assert pull(mirror, second.digest).body == second.manifest
    assert pull_blobs(mirror, second) == [200] * len(second.blobs)
    mirror.stop()
    mirror.start()
    assert is_former(pull(mirror), first, second)
    hub.stop()
    assert is_former(pull(mirror), first, second)
    mirror.stop()
    mirror.start("--offline")
    assert is_former(pull(mirror), first, second)

    released = run(mirror, "release", "team/app:1", second.digest)

    await_workers(mirror, second)
    assert pull(mirror).headers["Warning"] is None
    assert released == {
        "image": NAME,
        "digest": second.digest,
        "upstream": second.digest,
        "rolled_back_to": "",
    }
    (event,) = mirror.events("tag moved, and its former image is served")
    assert (event["image"], event["digest"], event["former"]) == (
        NAME,
        second.digest,
        first.digest,
    )


def test_a_moved_tag_is_served_when_it_is_old_enough(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """The time counts from when the new image was seen here."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub, min_age="2s")
    assert pull(mirror).body == first.manifest
    second = add(hub, "second")
    began = time.monotonic()

    assert is_former(pull(mirror), first, second)
    wait_until(lambda: pull(mirror).body == second.manifest, "it is old enough")

    assert time.monotonic() - began > 1.9
    assert count(mirror, second, 10) == 10


def test_a_new_tag_is_refused(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """With `new_tags = "refuse"`: 403 with what helps, also for HEAD; by digest it is served."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub, min_age="7d", new_tags="refuse")

    refused = pull(mirror)

    assert (refused.status, refused.code) == (403, "DENIED")
    assert f"entrepot images release {NAME} {first.digest}" in refused.message
    assert 'upstreams."docker.io".min_age = 7d, new_tags = refuse' in refused.message
    assert pull(mirror, method="HEAD").status == 403
    assert pull(mirror, first.digest).body == first.manifest
    warmed = mirror.run("images", "warm", "team/app:1")
    assert warmed.returncode == 1
    assert "not known here for long enough" in warmed.stderr
    run(mirror, "release", "team/app:1", first.digest)
    assert await_image(mirror, first) < SOON


def test_commands_say_what_waits(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """`images warm` and `images refresh` keep the former image, and say why."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub, min_age="7d")
    pull(mirror)
    second = add(hub, "second")

    warmed = mirror.run("images", "warm", "team/app:1", "--json")
    refreshed = mirror.run("images", "refresh", "team/app:1")

    (image,) = json.loads(warmed.stdout)["images"]
    assert (warmed.returncode, refreshed.returncode) == (0, 0)
    assert image["digest"] == first.digest
    assert second.digest in image["warning"]
    assert f"{NAME}: this is the former image of this tag" in refreshed.stderr
    assert count(mirror, first, 5) == 5
