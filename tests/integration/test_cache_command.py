"""`entrepot cache` beside a running mirror: usage, eviction, audits and backups."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.cli.terminal import format_bytes, format_count
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.fakes.upstream.content import digest_bytes
from tests.harness.mirror import MirrorProcess
from tests.integration.images import (
    add_platforms,
    ask,
    is_here,
    keep,
    make_layer,
    pull,
    read_knowledge,
    read_sizes,
    read_stored,
    run_json,
)
from tests.integration.wire import list_tree, wait_until

SIZE = 320_000
LIMIT = 1_000_000
SUMS = """
    SELECT (SELECT bytes FROM usage), (SELECT COALESCE(SUM(size), 0) FROM (
        SELECT size FROM blobs UNION ALL SELECT size FROM reservations
        UNION ALL SELECT size FROM doomed UNION ALL SELECT size FROM quarantine))
"""


def find(data: Path, digest: str) -> Path:
    """The file of a blob."""
    encoded = digest.partition(":")[2]
    return data / "blobs" / "sha256" / encoded[:2] / encoded


def flip(path: Path) -> None:
    """Change one byte in the middle of a file, as a failing disk does."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def test_stats_are_what_is_on_disk(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """The numbers are the sums of the files, with those of pinned blobs apart."""
    image = shared_hub.add_image("counted/app", "1", [make_layer(1)])
    keep(shared_mirror, image, shared_hub.add_image("counted/other", "1", [make_layer(2)]))
    shared_mirror.run("images", "pin", "counted/app:1")

    facts = run_json(shared_mirror, "cache", "stats")
    plain = shared_mirror.run("cache", "stats")

    files = [path.stat().st_size for path in (shared_mirror.data / "blobs").glob("*/*/*")]
    assert (facts["used"], facts["use"]["count"]) == (sum(files), len(files))
    assert facts["use"]["pinned"] == image.total + len(image.manifest)
    assert facts["images"] == len(ask(shared_mirror.data, "SELECT * FROM tags"))
    assert (plain.returncode, plain.stderr) == (0, "")
    rows = {line.split()[0]: line for line in plain.stdout.splitlines()}
    assert rows.keys() >= {"used", "blobs", "pinned", "downloading", "free", "images"}
    assert " of 50 GiB " in rows["used"]


def test_evicting_begins_with_the_longest_unused(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """The blobs that were not pulled for the longest time are deleted, as the dry run said."""
    mirror = make_mirror({"storage": {"limit": LIMIT, "reserve": 0}})
    images = [hub.add_image(f"cold/i{n}", "1", [make_layer(n, SIZE)]) for n in range(3)]
    keep(mirror, *images)
    began = time.time()
    pull(mirror, images[0])
    noted = f"SELECT 1 FROM pulls WHERE repository GLOB '*/i0' AND pulled >= {began}"
    wait_until(lambda: ask(mirror.data, noted), "the pull is noted")
    before = read_knowledge(mirror.data)

    planned = run_json(mirror, "cache", "evict", "--dry-run")
    unchanged = read_knowledge(mirror.data)
    evicted = mirror.run("cache", "evict")

    used = sum(size for image in images for size in read_sizes(image).values())
    assert (planned["used"], planned["target"]) == (used, LIMIT * 95 // 100)
    assert before == unchanged
    assert (evicted.returncode, evicted.stderr) == (0, "")
    gone = read_sizes(*images).keys() - read_stored(mirror.data).keys()
    assert planned["freed"] == sum(read_sizes(*images)[digest] for digest in gone)
    assert planned["blobs"] == len(gone)
    what = f"{format_count(len(gone), 'blob')}, {format_bytes(planned['freed'])}"
    assert evicted.stdout.startswith(f"deleted {what}\n")
    assert gone <= read_sizes(images[1]).keys()
    assert pull(mirror, images[0]) == ["hit"] * 2


def test_a_folder_of_others_is_no_backup(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, tmp_path: Path
) -> None:
    """A folder that is neither empty nor a backup is refused and stays unchanged."""
    keep(shared_mirror, shared_hub.add_image("some/app", "1", [b"app"]))
    for folder in (tmp_path / "home", tmp_path / "store"):
        folder.mkdir()
    (tmp_path / "home" / "letter.txt").touch()
    (tmp_path / "store" / "LAYOUT").write_text("1\n")
    for name, held in (("home", "letter.txt"), ("store", "LAYOUT")):
        result = shared_mirror.run("cache", "backup", str(tmp_path / name))
        assert (result.returncode, result.stdout) == (1, "")
        assert "neither empty nor a backup" in result.stderr
        assert list_tree(tmp_path / name) == [held]


def test_a_manifest_goes_after_its_layers(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Of an image, the manifest is evicted last, because fetching it again costs pull limit."""
    mirror = make_mirror()
    image = hub.add_image("some/app", "1", [make_layer(3), make_layer(4)])
    keep(mirror, image)

    run_json(mirror, "cache", "evict", "--to", f"{image.total}B")

    gone = read_sizes(image).keys() - read_stored(mirror.data).keys()
    assert gone
    assert image.digest not in gone


def test_evicting_more_than_can_go_fails(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """If pinned blobs exceed the target, all others are evicted, and it exits with 1."""
    mirror = make_mirror()
    pinned, other = (hub.add_image(f"some/{name}", "1", [name.encode()]) for name in "ab")
    keep(mirror, pinned, other)
    mirror.run("images", "pin", "some/a:1")

    evicted = mirror.run("cache", "evict", "--to", "1B")
    wrong = mirror.run("cache", "evict", "--to", "some")

    kept = format_bytes(sum(read_sizes(pinned).values()))
    assert evicted.returncode == 1
    assert evicted.stderr == (
        f"entrepot: {kept} are still used; the rest is pinned, being read or being downloaded:"
        " see entrepot images ls, unpin images, or try again later\n"
    )
    assert read_stored(mirror.data) == read_sizes(pinned)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "'some' is not a size" in wrong.stderr


def test_an_audit_corrects_what_is_wrong(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Damaged, unknown and missing blobs are reported and corrected; the next audit finds none."""
    mirror = make_mirror()
    damaged, lost = (hub.add_image(f"some/{name}", "1", [name.encode() * 9999]) for name in "ab")
    keep(mirror, damaged, lost)
    clean = mirror.run("cache", "audit")
    flip(find(mirror.data, damaged.layers[0]))
    find(mirror.data, lost.layers[0]).unlink()
    unknown = digest_bytes(b"unknown")
    find(mirror.data, unknown).parent.mkdir(exist_ok=True)
    find(mirror.data, unknown).write_bytes(b"unknown")

    found = run_json(mirror, "cache", "audit", code=1)
    again = mirror.run("cache", "audit", "--restart")

    assert (clean.returncode, clean.stdout.splitlines()[-1]) == (0, "no problems found")
    assert found["damaged"] == [damaged.layers[0]]
    assert found["missing"] == [lost.layers[0]]
    assert (found["unknown"], found["unreadable"]) == ([unknown], [])
    assert len(list_tree(mirror.data / "quarantine")) == 1
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "no problems found")
    assert pull(mirror, damaged, lost) == ["hit", "miss"] * 2
    wait_until(lambda: is_here(mirror, [*damaged.layers, *lost.layers]), "they are here again")
    ((used, total),) = ask(mirror.data, SUMS)
    assert used == total


def restore(make_mirror: MirrorMaker, backup: Path) -> MirrorProcess:
    return make_mirror({"storage": {"path": str(backup)}, "offline": True})


def test_a_backup_serves_offline(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path
) -> None:
    """A backup made during pulls can be served; the next one copies only what is new."""
    index, amd, arm = add_platforms(hub, "team/multi")
    images = [hub.add_image(f"team/i{n}", "1", [make_layer(n)]) for n in range(4)]
    mirror, backup = make_mirror(), tmp_path / "backup"
    keep(mirror, index, amd, arm, images[0])
    mirror.run("images", "pin", "team/i0:1")
    busy = [hub.add_image(f"busy/i{n}", "1", [make_layer(n + 50)]) for n in range(40)]
    ended = threading.Event()

    def keep_pulling() -> int:
        return sum(len(pull(mirror, each)) for each in busy if not ended.is_set())

    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(keep_pulling)
        first = run_json(mirror, "cache", "backup", str(backup))
        ended.set()
        assert pulling.result() > 0
    mirror.run("cache", "backup", str(backup))
    keep(mirror, *images[1:])
    renewed = run_json(mirror, "cache", "backup", str(backup))
    hub.stop()

    assert (first["copied"], first["damaged"]) == (first["blobs"], [])
    assert first["blobs"] >= len(read_sizes(amd, arm, images[0])) + 1
    assert renewed["copied"] == len(read_sizes(*images[1:]))
    assert renewed["blobs"] == len(read_stored(mirror.data))
    restored = restore(make_mirror, backup)
    assert set(pull(restored, index, amd, arm, *images)) == {"hit"}
    (shown,) = run_json(restored, "images", "show", "team/i0:1")
    assert shown["pins"] == ["docker.io/team/i0:1"]
    assert restored.run("cache", "audit").returncode == 0


def test_what_was_removed_is_no_more_in_a_renewed_backup(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path
) -> None:
    """Names and blobs that were removed from the store are removed from its backup too."""
    mirror, backup = make_mirror(), tmp_path / "backup"
    image = hub.add_image("team/app", "1", [make_layer(7)])
    hub.tag("team/app", "old", image.digest)
    gone = hub.add_image("team/gone", "1", [make_layer(8)])
    old = Image("team/app", "old", image.digest, image.manifest, image.media_type)
    keep(mirror, image, gone, old)
    mirror.run("cache", "backup", str(backup))
    mirror.run("images", "rm", "team/app:old", "team/gone:1")

    mirror.run("cache", "backup", str(backup))

    restored = restore(make_mirror, backup)
    assert restored.run("cache", "audit").returncode == 0
    listed = run_json(restored, "images", "ls")
    assert [each["name"] for each in listed] == ["docker.io/team/app:1"]
    assert not find(backup, gone.layers[0]).exists()


def test_a_backup_that_was_served_and_killed_can_be_renewed(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path
) -> None:
    """Files that a killed server left beside a backup's catalog do not change the new catalog."""
    mirror, backup = make_mirror(), tmp_path / "backup"
    first, second = (hub.add_image(f"team/{n}", "1", [n.encode() * 9999]) for n in "ab")
    keep(mirror, first)
    mirror.run("cache", "backup", str(backup))
    served = restore(make_mirror, backup)
    served.run("images", "pin", "team/a:1")
    served.kill()
    keep(mirror, second)

    renewed = mirror.run("cache", "backup", str(backup))

    assert renewed.returncode == 0
    assert ask(backup, "PRAGMA integrity_check") == [("ok",)]
    served.start()
    assert pull(served, first, second) == ["hit"] * 4
    assert ask(backup, "SELECT * FROM pins") == ask(mirror.data, "SELECT * FROM pins") == []


@pytest.mark.parametrize("spelling", ["data", "data/../data", "link"])
def test_a_store_is_no_backup_of_itself(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, tmp_path: Path, spelling: str
) -> None:
    """The store's own folder is refused in every spelling, and nothing in it changes."""
    keep(shared_mirror, shared_hub.add_image("some/app", "1", [b"app"]))
    (tmp_path / "link").symlink_to(shared_mirror.data)
    folder = (tmp_path if spelling == "link" else shared_mirror.data.parent) / spelling
    catalog = (shared_mirror.data / "catalog.db").stat().st_ino

    result = shared_mirror.run("cache", "backup", str(folder))

    assert (result.returncode, result.stdout) == (2, "")
    assert "is the data folder itself" in result.stderr
    assert (shared_mirror.data / "catalog.db").stat().st_ino == catalog


def test_damaged_blobs_are_not_backed_up(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path
) -> None:
    """A damaged blob is left out with a message; everything else is copied."""
    mirror, backup = make_mirror(), tmp_path / "backup"
    image = hub.add_image("team/app", "1", [make_layer(9), make_layer(10)])
    keep(mirror, image)
    flip(find(mirror.data, image.layers[0]))

    result = mirror.run("cache", "backup", str(backup))

    assert result.returncode == 1
    why = f"{image.layers[0]} is damaged and not in the backup; run: entrepot cache audit"
    assert result.stderr == f"entrepot: {why}\n"
    assert read_stored(backup).keys() == read_sizes(image).keys() - {image.layers[0]}
    assert not find(backup, image.layers[0]).exists()
    assert list_tree(backup / "spool") == []
