"""A catalog that is damaged while the mirror runs is made again from the files, by itself."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children
from tests.integration.wire import Answer, fetch, wait_until

pytestmark = pytest.mark.programs


PAGE = 4096
CATALOGS = ("catalog.db", "catalog.db.broken")


@pytest.fixture
def image(hub: FakeUpstream) -> Image:
    return hub.add_image("team/app", "1", [b"layer" * 999])


@pytest.fixture
def mirror(make_mirror: MirrorMaker, hub: FakeUpstream, image: Image) -> MirrorProcess:
    """A mirror that has the image, was started again, and whose upstream is gone."""
    mirror = make_mirror({"tags": {"fresh_for": "1h"}})
    assert pull(mirror, image) == [200, 200, 200]
    mirror.stop()
    hub.stop()
    return mirror.start()


def pull(mirror: MirrorProcess, image: Image) -> list[int]:
    """Return the statuses of manifest and blobs; none while the mirror takes no connection."""
    base = f"{mirror.url}/v2/{image.repository}"
    paths = ["manifests/1", *(f"blobs/{digest}" for digest in image.blobs)]
    with suppress(OSError, HTTPException):
        return [fetch(f"{base}/{path}").status for path in paths]
    return []


def overwrite(catalog: Path) -> None:
    """Overwrite all pages but the first, as a failing disk would."""
    with catalog.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xff" * (catalog.stat().st_size - PAGE))


@contextmanager
def stopping(mirror: MirrorProcess) -> Iterator[None]:
    """Stop all processes of a mirror for some seconds."""
    processes = [mirror.pid, *list_children(mirror.pid)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def delete(catalog: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        catalog.with_name(catalog.name + suffix).unlink(missing_ok=True)


def test_pulls_are_answered_again_without_a_restart(mirror: MirrorProcess, image: Image) -> None:
    """The first error leads to a new catalog; no answer shows a path of the machine."""
    overwrite(mirror.data / "catalog.db")
    seen: list[Answer] = []

    def is_answered() -> bool:
        with suppress(OSError, HTTPException):
            seen.append(fetch(f"{mirror.url}/v2/team/app/manifests/1"))
        return bool(seen) and seen[-1].status == 200

    wait_until(is_answered, "the manifest is served again")

    errors = [answer for answer in seen if answer.status != 200]
    assert {(answer.status, answer.code) for answer in errors} <= {(500, "UNKNOWN")}
    shown = b"".join(answer.body for answer in errors).decode()
    assert not any(text in shown for text in (str(mirror.data), "catalog", "/")), shown
    assert pull(mirror, image) == [200, 200, 200]
    listed = json.loads(mirror.run("images", "ls", "--json").stdout)
    assert [each["name"] for each in listed] == ["docker.io/team/app:1"]
    assert len(mirror.events("catalog rebuilt")) == 1
    assert mirror.events("catalog damaged")
    assert (mirror.data / "catalog.db.broken").exists()
    assert not (mirror.data / "CATALOG-LOST").exists()


@pytest.mark.parametrize("words", [("images", "ls"), ("cache", "audit"), ("cache", "stats")])
def test_what_a_command_finds_the_server_repairs(
    mirror: MirrorProcess, image: Image, words: tuple[str, ...]
) -> None:
    """A command that meets the damage says what makes the catalog again, and it is made."""
    with stopping(mirror):  # or else the server may find it first
        overwrite(mirror.data / "catalog.db")
        found = mirror.run(*words)

    assert (found.returncode, found.stdout) == (1, "")
    assert "start `entrepot serve`" in found.stderr
    wait_until(lambda: mirror.events("catalog rebuilt"), "it is made again")
    wait_until(lambda: mirror.run(*words).returncode == 0, "the command works again")
    assert pull(mirror, image) == [200, 200, 200]


@pytest.mark.parametrize("harm", [overwrite, delete])
def test_a_second_server_on_the_folder_follows(
    make_mirror: MirrorMaker, mirror: MirrorProcess, image: Image, harm: Callable[[Path], None]
) -> None:
    """Both servers use the new catalog afterwards, and what one stores the other knows."""
    settings = {"storage": {"path": str(mirror.data)}, "tags": {"fresh_for": "1h"}}
    other = make_mirror(settings)
    for each in (mirror, other):
        wait_until(lambda each=each: has_opened(each), "all its processes have opened the catalog")
    harm(mirror.data / "catalog.db")
    for each in (mirror, other):
        wait_until(lambda each=each: pull(each, image) == [200, 200, 200], "it answers")

    wait_until(lambda: len(list_files(mirror, other)) == 1, "both have the same file open")

    for each in (mirror, other):
        wait_until(lambda each=each: pull(each, image) == [200, 200, 200], "it answers")


def has_opened(mirror: MirrorProcess) -> bool:
    """Whether each process of a mirror, but the supervisor, has the catalog open."""
    children = list_children(mirror.pid)
    return len(children) > 1 and all(list_open(pid) for pid in children)


def list_files(*mirrors: MirrorProcess) -> set[int]:
    """Return the inodes of the catalogs that processes of these mirrors have open."""
    groups = {mirror.pid for mirror in mirrors}
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended while we looked
            if os.getpgid(int(process.name)) in groups:
                found |= list_open(int(process.name))
    return found


def list_open(pid: int) -> set[int]:
    """Return the inodes of the catalogs that a process has open."""
    with suppress(OSError):
        return {
            descriptor.stat().st_ino
            for descriptor in Path(f"/proc/{pid}/fd").iterdir()
            if descriptor.readlink().name.removesuffix(" (deleted)") in CATALOGS
        }
    return set()


def test_a_catalog_with_one_bad_page_is_made_again_at_the_start(
    mirror: MirrorProcess, image: Image
) -> None:
    """At a start the whole file is checked, so no pull meets the damage."""
    mirror.stop()
    catalog = mirror.data / "catalog.db"
    content = bytearray(catalog.read_bytes())
    content[8 * PAGE : 9 * PAGE] = b"\xff" * PAGE
    catalog.write_bytes(content)

    mirror.start()

    assert pull(mirror, image) == [200, 200, 200]
    assert len(mirror.events("catalog rebuilt")) == 1
    assert mirror.events("catalog damaged") == []
