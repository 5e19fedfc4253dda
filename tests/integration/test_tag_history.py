"""Tags that moved, as clients and operators see them: delay, release, history and rollback."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch, wait_until

NAME = "docker.io/team/app:1"
SOON = 2.0  # seconds within which a command has to count: one, on a machine that is not busy


def start(
    make_mirror: MirrorMaker, hub: FakeUpstream, fresh_for: str = "0s", **table: object
) -> MirrorProcess:
    """Start a mirror whose Docker Hub has these settings."""
    upstream = {"endpoints": [hub.url], **table}
    settings = {"tags": {"fresh_for": fresh_for}, "storage": {"keep_pulled": "0s"}}
    return make_mirror(settings, upstreams={"docker.io": upstream})


def add(hub: FakeUpstream, name: str) -> Image:
    """Move the tag of the upstream to another image."""
    return hub.add_image("team/app", "1", [name.encode() * 1000])


def pull(mirror: MirrorProcess, reference: str = "1", method: str = "GET") -> Answer:
    return fetch(f"{mirror.url}/v2/team/app/manifests/{reference}", method=method)


def pull_blobs(mirror: MirrorProcess, image: Image) -> list[int]:
    """Pull the blobs of an image, and wait until they are stored; return the statuses."""
    found = []
    for digest in image.blobs:
        url = f"{mirror.url}/v2/team/app/blobs/{digest}"
        found.append(fetch(url).status)
        if found[-1] == 200:
            wait_until(lambda url=url: fetch(url).origin == "hit", "it is stored")
    return found


def run(mirror: MirrorProcess, *arguments: str) -> Mapping[str, Any]:
    """Run a command that succeeds, and return its JSON."""
    done = mirror.run("images", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def await_image(mirror: MirrorProcess, image: Image) -> float:
    """Wait until all workers serve an image by the tag; return the seconds that it took."""
    began = time.monotonic()
    wait_until(lambda: count(mirror, image, 8) == 8, "the command counts")
    seconds = time.monotonic() - began
    assert count(mirror, image, 20) == 20
    return seconds


def count(mirror: MirrorProcess, image: Image, times: int) -> int:
    return sum(pull(mirror).body == image.manifest for _ in range(times))


def is_former(answer: Answer, former: Image, newer: Image) -> bool:
    """Whether an answer is the former image, and tells which one is newer."""
    return answer.body == former.manifest and newer.digest in answer.headers["Warning"]


def test_a_moved_tag_waits_until_it_is_released(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """In all workers, after a restart, during an outage and offline; and then it is served."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub, min_age="forever")
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

    assert await_image(mirror, second) < SOON
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


@pytest.fixture
def moved(make_mirror: MirrorMaker, hub: FakeUpstream) -> tuple[MirrorProcess, Image, Image]:
    """A mirror that has pulled two images by one tag, the blobs too, and repeats the answer."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub, "1h")
    pull(mirror)
    pull_blobs(mirror, first)
    second = add(hub, "second")
    run(mirror, "refresh", "team/app:1")
    await_image(mirror, second)
    pull_blobs(mirror, second)
    return mirror, first, second


def test_a_rollback_counts_at_once(
    moved: tuple[MirrorProcess, Image, Image], hub: FakeUpstream
) -> None:
    """Also for answers that are repeated from memory; so does its end. No upstream is needed."""
    mirror, first, second = moved
    hub.stop()
    assert count(mirror, second, 50) == 50  # repeated by all workers

    done = run(mirror, "rollback", "team/app:1", first.digest[:19])

    assert await_image(mirror, first) < SOON
    assert "rolled this tag back" in pull(mirror).headers["Warning"]
    assert done == {
        "image": NAME,
        "digest": first.digest,
        "former": second.digest,
        "complete": True,
    }
    mirror.stop()
    mirror.start()
    assert count(mirror, first, 10) == 10
    hub.start()
    run(mirror, "release", "team/app:1")
    assert await_image(mirror, second) < SOON
    assert pull(mirror).headers["Warning"] is None


def test_what_a_rollback_needs_is_kept(
    moved: tuple[MirrorProcess, Image, Image], hub: FakeUpstream
) -> None:
    """Nothing of the image is evicted while the tag is rolled back, and all of it afterwards."""
    mirror, first, second = moved
    run(mirror, "rollback", "team/app:1", first.digest)
    hub.stop()
    mirror.run("cache", "evict", "--to", "0B")

    assert await_image(mirror, first) < SOON
    assert pull_blobs(mirror, first) == [200] * len(first.blobs)
    assert 200 not in pull_blobs(mirror, second)

    assert mirror.run("images", "release", "team/app:1").returncode == 0
    mirror.run("cache", "evict", "--to", "0B")
    assert 200 not in pull_blobs(mirror, first)


def test_a_lost_catalog_loses_no_history(
    moved: tuple[MirrorProcess, Image, Image], hub: FakeUpstream
) -> None:
    """The rollback, the digests and their times are in the files; also in a backup."""
    mirror, first, second = moved
    run(mirror, "rollback", "team/app:1", first.digest)
    before = run(mirror, "history", "team/app:1")
    backup = mirror.data.with_name("backup")
    assert mirror.run("cache", "backup", str(backup)).returncode == 0
    mirror.stop()
    hub.stop()
    for path in mirror.data.glob("catalog.db*"):
        path.unlink()
    mirror.start()

    assert await_image(mirror, first) < SOON
    assert run(mirror, "history", "team/app:1") == before
    assert [each["digest"] for each in before["digests"]] == [second.digest, first.digest]
    assert before["serves"] == first.digest
    assert before["upstream"] == second.digest
    assert before["rolled_back"] > before["digests"][0]["first"] > before["digests"][1]["first"]
    (kept,) = (mirror.data / "tags").rglob("history-1")
    (copied,) = (backup / "tags").rglob("history-1")
    assert kept.read_bytes() == copied.read_bytes()


def test_the_history_is_a_table(moved: tuple[MirrorProcess, Image, Image]) -> None:
    """The newest digest comes first; a line says how a rollback ends."""
    mirror, first, second = moved
    run(mirror, "rollback", "team/app:1", first.digest)

    lines = mirror.run("images", "history", "team/app:1").stdout.splitlines()

    assert lines[0] == f"{NAME} serves {first.digest}"
    assert lines[1].endswith(f"to end this: entrepot images release {NAME}")
    assert lines[2].split() == ["DIGEST", "FIRST", "SEEN", "LAST", "SEEN", "STORED", "STATE"]
    assert lines[3].startswith(second.digest)
    assert lines[3].endswith("upstream")
    assert lines[4].startswith(first.digest)
    assert lines[4].endswith("served")


def test_an_image_that_is_not_stored_is_fetched(
    moved: tuple[MirrorProcess, Image, Image], hub: FakeUpstream
) -> None:
    """A rollback fetches it by its digest, and says that blobs are missing."""
    mirror, first, _ = moved
    names = ("team/app:1", f"team/app@{first.digest}")
    assert mirror.run("images", "rm", *names).returncode == 0
    third = add(hub, "third")
    assert await_image(mirror, third) < SOON

    done = mirror.run("images", "rollback", "team/app:1", first.digest)

    assert done.returncode == 0, done.stderr
    assert f"{NAME} is incomplete; run: entrepot images refresh {NAME}" in done.stderr
    assert await_image(mirror, first) < SOON
    assert pull_blobs(mirror, first) == [200] * len(first.blobs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("history", "team/other:1"), "docker.io/team/other:1 is not stored here"),
        (("release", "team/app:1"), f"{NAME} is not rolled back"),
        (("release", "team/app:1", "0123456789ab"), f"{NAME} has not led to 0123456789ab here"),
        (("rollback", "team/app:1", "0123456789ab"), f"{NAME} has not led to 0123456789ab here"),
        (("rollback", "team/app@sha256:" + "0" * 64, "0123456789ab"), "write a tag"),
    ],
)
def test_what_commands_refuse(
    make_mirror: MirrorMaker, hub: FakeUpstream, arguments: tuple[str, ...], words: str
) -> None:
    """One line says why, and nothing is changed."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub)
    pull(mirror)

    done = mirror.run("images", *arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert count(mirror, first, 5) == 5
