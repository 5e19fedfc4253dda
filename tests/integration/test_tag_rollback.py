"""Operators roll tags back, and see what tags have led to."""

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.moved_tags import (
    NAME,
    SOON,
    add,
    await_image,
    await_workers,
    count,
    pull,
    pull_blobs,
    run,
    start,
)
from tests.integration.wire import wait_until


def move(
    make_mirror: MirrorMaker, hub: FakeUpstream, workers: int = 1
) -> tuple[MirrorProcess, Image, Image]:
    """Start a mirror that has pulled two images by one tag, the blobs too."""
    first = add(hub, "first")
    mirror = start(make_mirror, hub, "1h", workers)
    pull(mirror)
    pull_blobs(mirror, first)
    second = add(hub, "second")
    run(mirror, "refresh", "team/app:1")
    wait_until(lambda: pull(mirror).body == second.manifest, "the refresh counts")
    pull_blobs(mirror, second)
    return mirror, first, second


@pytest.fixture
def moved(make_mirror: MirrorMaker, hub: FakeUpstream) -> tuple[MirrorProcess, Image, Image]:
    """A mirror that has pulled two images by one tag, the blobs too, and repeats its answers."""
    return move(make_mirror, hub)


def test_a_rollback_counts_at_once(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Also for answers that are repeated from memory, in all workers; so does its end."""
    mirror, first, second = move(make_mirror, hub, workers=2)
    await_workers(mirror, second)

    done = run(mirror, "rollback", "team/app:1", first.digest[:19])

    await_workers(mirror, first)
    assert "rolled this tag back" in pull(mirror).headers["Warning"]
    assert done == {
        "image": NAME,
        "digest": first.digest,
        "former": second.digest,
        "complete": True,
    }
    run(mirror, "release", "team/app:1")
    await_workers(mirror, second)
    assert pull(mirror).headers["Warning"] is None


def test_a_rollback_needs_no_upstream(
    moved: tuple[MirrorProcess, Image, Image], hub: FakeUpstream
) -> None:
    """It lasts over a restart, and works while the upstream is down."""
    mirror, first, _ = moved
    hub.stop()

    run(mirror, "rollback", "team/app:1", first.digest)

    assert await_image(mirror, first) < SOON
    mirror.stop()
    mirror.start()
    assert count(mirror, first, 5) == 5


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
