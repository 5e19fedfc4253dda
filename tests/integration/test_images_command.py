"""`entrepot images` beside a running mirror: what it shows, what it changes, what it refuses."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import run_program
from tests.harness.large_layer import KIB, MIB
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
from tests.integration.wire import fetch, list_tree, wait_until

NOTICE_TIME = 1.0  # seconds after which a worker sees what another process changed
ALL = ("cache", "evict", "--to", "1B")


def test_lists_show_what_is_stored(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """A glob lists the images that it matches, with size and stored platforms."""
    index, amd, arm = add_platforms(shared_hub, "listed/multi")
    whole = shared_hub.add_image("listed/whole", "1.0", [make_layer(1)])
    keep(shared_mirror, index, amd, whole)

    plain = shared_mirror.run("images", "ls", "*/listed/*")
    multi, single = run_json(shared_mirror, "images", "ls", "*/listed/*")

    lines = plain.stdout.splitlines()
    assert (plain.returncode, plain.stderr, len(lines)) == (0, "", 3)
    assert "docker.io/listed/multi:1" in lines[1]
    assert "1 of 2: linux/amd64" in lines[1]
    assert single["name"] == "docker.io/listed/whole:1.0"
    assert (single["size"], single["complete"]) == (whole.total + len(whole.manifest), True)
    absent = {each["platform"]: each["missing"] for each in multi["platforms"]}
    assert absent == {"linux/amd64": [], "linux/arm64": [arm.digest]}


def test_familiar_names_mean_full_ones(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """All spellings of a name mean the same image, which is described once."""
    image = shared_hub.add_image("library/app", "1.0", [make_layer(2)])
    keep(shared_mirror, image)
    spelt = ("app:1.0", "library/app:1.0", "docker.io/library/app:1.0", "ap?:1.*")

    shown = shared_mirror.run("images", "show", *spelt)
    (facts,) = run_json(shared_mirror, "images", "show", *spelt)

    assert shown.stdout.startswith(f"docker.io/library/app:1.0\n  digest     {image.digest}\n")
    assert "linux/amd64: complete" in shown.stdout
    assert (facts["digest"], facts["pins"]) == (image.digest, [])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "nosuch:1"), 1, "nosuch:1 is not stored here; list what is stored: entrepot im"),
        (("pin", "nosuch"), 1, "run first: entrepot images warm docker.io/library/nosuch:latest"),
        (("rm", "nosuch/*"), 1, "nosuch/*"),
        (("unpin", "known:1"), 1, "known:1 is not pinned"),
        (("refresh", "nowhere.example:1/a:1"), 1, "configured upstreams: docker.io"),
        (("pin", "known:1", "--platform", "Amd64"), 2, "write amd64, linux/amd64 or linux/arm/v7"),
        (("pin", "known:1", "--platform", "s390x"), 1, "but for linux/amd64"),
        (("pin", "known:1", "--platform", "s390x", "--dry-run"), 1, "but for linux/amd64"),
        (("show", "UPPER:1"), 2, "invalid repository name"),
        (("rm",), 2, "IMAGE"),
        (("ls", "--bogus"), 2, "--bogus"),
        (("ls", "--platform", "amd64"), 2, "images ls --offline --platform"),
    ],
)
def test_mistakes_are_one_helpful_line(
    shared_mirror: MirrorProcess,
    shared_hub: FakeUpstream,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    """A mistake is one line on stderr, with the exit code of its kind, and nothing changes."""
    keep(shared_mirror, shared_hub.add_image("library/known", "1", [b"known"]))

    result = shared_mirror.run("images", *arguments)

    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert ask(shared_mirror.data, "SELECT * FROM pins WHERE repository GLOB '*/known'") == []


def test_without_a_data_folder_nothing_is_made(tmp_path: Path) -> None:
    """A command without a data folder says how to make one, and makes none."""
    config = tmp_path / "entrepot.toml"
    config.write_text(f'storage.path = "{tmp_path}/data"')

    result = run_program("images", "ls", "--config", str(config))

    assert (result.returncode, result.stdout) == (2, "")
    assert f": nothing is stored yet: the data folder {tmp_path}/data does " in result.stderr
    assert result.stderr.endswith(" makes it; if it should exist, check storage.path\n")
    assert list_tree(tmp_path) == ["entrepot.toml"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("pin", "would be pinned: docker.io/dry/pin:1"),
        ("unpin", "would be unpinned: docker.io/dry/unpin:1"),
        ("refresh", "would ask docker.io about docker.io/dry/refresh:1 (linux/amd64)"),
        ("rm", "would be removed: docker.io/dry/rm:1\nwould free"),
    ],
)
def test_dry_runs_change_nothing(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, command: str, message: str
) -> None:
    """With --dry-run a command says what it would do; no row and no file changes."""
    name = f"dry/{command}"
    keep(shared_mirror, shared_hub.add_image(name, "1", [make_layer(3), name.encode()]))
    if command == "unpin":
        assert shared_mirror.run("images", "pin", f"{name}:1").returncode == 0
    before = read_knowledge(shared_mirror.data)

    result = shared_mirror.run("images", command, f"{name}:1", "--dry-run")

    assert (result.returncode, result.stderr) == (0, "")
    assert message in result.stdout
    assert before == read_knowledge(shared_mirror.data)


def test_a_dry_run_foresees_what_removing_frees(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Images that are removed together free the bytes that they share; the dry run says so too."""
    base = make_layer(4)
    one = shared_hub.add_image("foreseen/app", "1", [base])
    shared_hub.tag("foreseen/app", "latest", one.digest)
    other = shared_hub.add_image("foreseen/other", "1", [base, make_layer(5)])
    keep(shared_mirror, one, other)
    fetch(f"{shared_mirror.url}/v2/foreseen/app/manifests/latest")

    foreseen = run_json(shared_mirror, "images", "rm", "foreseen/*", "--dry-run")
    removed = run_json(shared_mirror, "images", "rm", "foreseen/*")

    assert foreseen == removed | {"dry_run": True}
    assert len(removed["removed"]) == 3
    assert removed["freed"] == sum(read_sizes(one, other).values())


def test_pinned_images_are_not_evicted(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A pinned image stays complete, however much is pulled beyond the limit."""
    storage = {"limit": MIB, "reserve": 0, "keep_pulled": 0}
    mirror = make_mirror({"storage": storage, "tags": {"fresh_for": "1h"}})
    pinned = hub.add_image("team/kept", "1", [make_layer(6, 150 * KIB), make_layer(7, 150 * KIB)])
    keep(mirror, pinned)
    assert mirror.run("images", "pin", "team/kept:1").stdout == "pinned: docker.io/team/kept:1\n"
    others = [hub.add_image(f"many/i{n}", "1", [make_layer(n, 200 * KIB)]) for n in range(8, 32)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda image: pull(mirror, image), others))
    hub.stop()

    assert pull(mirror, pinned) == ["hit"] * 3
    assert not is_here(mirror, [layer for image in others for layer in image.layers])


def test_a_pin_of_a_platform_keeps_just_that(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A pin with --platform keeps the index and that platform; the others can be evicted."""
    index, amd, arm = add_platforms(hub, "team/multi")
    mirror = make_mirror()
    keep(mirror, index, amd, arm)

    assert mirror.run("images", "pin", "team/multi:1", "--platform", "amd64").returncode == 0
    assert mirror.run("images", "ls", "team/multi").stdout.endswith("  linux/amd64\n")
    evicted = mirror.run(*ALL)
    hub.stop()

    assert (evicted.returncode, "the rest is pinned" in evicted.stderr) == (1, True)
    assert pull(mirror, index, amd) == ["hit"] * 2
    stored = read_sizes(amd) | {index.digest: len(index.manifest)}
    assert read_stored(mirror.data) == stored


def test_a_pin_follows_a_moved_tag_when_refreshed(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """A pin stays on the former image until a refresh has downloaded the new one."""
    mirror = make_mirror({"tags": {"fresh_for": "0s"}})
    old = hub.add_image("team/app", "1", [make_layer(40)])
    keep(mirror, old)
    mirror.run("images", "pin", "team/app:1")
    new = hub.add_image("team/app", "1", [make_layer(41)])
    keep(mirror, new)
    mirror.run(*ALL)
    assert read_stored(mirror.data) == read_sizes(old)

    refreshed = mirror.run("images", "refresh", "team/app:1")
    evicted = run_json(mirror, *ALL, code=1)
    hub.stop()

    assert (refreshed.returncode, refreshed.stderr) == (0, "")
    assert refreshed.stdout.startswith("docker.io/team/app:1: ")
    assert evicted["freed"] == old.total + len(old.manifest)
    assert read_stored(mirror.data) == read_sizes(new)
    assert pull(mirror, new) == ["hit"] * 2


def test_removing_frees_what_nobody_shares(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Removing an image frees what no other image uses; the next pull downloads it again."""
    base, own = make_layer(50), make_layer(51)
    image = shared_hub.add_image("removed/app", "1", [base, own])
    other = shared_hub.add_image("removed/other", "1", [base])
    keep(shared_mirror, image, other)
    before = read_stored(shared_mirror.data)
    ((used,),) = ask(shared_mirror.data, "SELECT bytes FROM usage")

    removed = run_json(shared_mirror, "images", "rm", "removed/app:1")

    gone = read_sizes(image).keys() - read_sizes(other).keys()
    freed = sum(read_sizes(image)[digest] for digest in gone)
    assert (removed["removed"], removed["freed"]) == (["docker.io/removed/app:1"], freed)
    assert before.keys() - read_stored(shared_mirror.data).keys() == gone
    assert ask(shared_mirror.data, "SELECT bytes FROM usage") == [(used - freed,)]
    assert not any(is_here(shared_mirror, [digest]) for digest in gone)
    # The worker had it in memory.
    shared_hub.journal.clear()
    url = f"{shared_mirror.url}/v2/removed/app/manifests/1"
    wait_until(lambda: fetch(url).origin == "miss", "it is fetched again", 2 * NOTICE_TIME)
    assert pull(shared_mirror, image) == ["miss", "hit", "miss"]
    assert shared_hub.journal.count("manifest", "GET", image.digest) == 1


def test_removing_one_of_two_names_keeps_the_image(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Removing one of two tags keeps the image; removing its digest removes all its tags."""
    image = shared_hub.add_image("named/app", "1", [make_layer(52)])
    shared_hub.tag("named/app", "latest", image.digest)
    keep(shared_mirror, image)
    fetch(f"{shared_mirror.url}/v2/named/app/manifests/latest")

    first = shared_mirror.run("images", "rm", "named/app")
    left = run_json(shared_mirror, "images", "ls", "named/app")
    last = run_json(shared_mirror, "images", "rm", f"named/app@{image.digest}")

    assert first.stdout == "removed: docker.io/named/app:latest\nfreed 0 B\n"
    assert [each["name"] for each in left] == ["docker.io/named/app:1"]
    assert last["freed"] == sum(read_sizes(image).values())
    assert ask(shared_mirror.data, "SELECT * FROM tags WHERE repository GLOB '*/named/*'") == []


def test_the_pinned_is_refused_and_the_rest_removed(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Globs pin and unpin all images they match; pinned images are not removed, unpinned are."""
    images = [shared_hub.add_image("globbed/app", tag, [tag.encode()]) for tag in ("1", "2", "dev")]
    keep(shared_mirror, *images)
    names = ["docker.io/globbed/app:1", "docker.io/globbed/app:2"]

    pinned = run_json(shared_mirror, "images", "pin", "globbed/app:[0-9]")
    shown = run_json(shared_mirror, "images", "show", "globbed/app:1")
    refused = run_json(shared_mirror, "images", "rm", "globbed/*", code=1)
    unpinned = run_json(shared_mirror, "images", "unpin", "globbed/*")
    removed = run_json(shared_mirror, "images", "rm", "globbed/*")

    assert pinned == {"pinned": names, "incomplete": [], "dry_run": False}
    assert shown[0]["pins"] == names[:1]
    assert list(refused["removed"]) == ["docker.io/globbed/app:dev"]
    assert [why.rpartition(" ")[2] for why in refused["refused"]] == names
    assert unpinned == {"unpinned": names, "dry_run": False}
    assert list(removed["removed"]) == names


def test_refreshing_downloads_what_is_missing(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A refresh downloads a platform that nobody pulled; a failed refresh loses nothing."""
    index, amd, arm = add_platforms(hub, "team/multi")
    mirror = make_mirror()
    keep(mirror, index, amd)

    (fetched,) = run_json(mirror, "images", "refresh", "team/multi:1", "--platform", "arm64")[
        "images"
    ]
    hub.stop()
    failed = mirror.run("images", "refresh", "team/multi:1")

    assert (fetched["fetched"], fetched["failures"]) == (arm.total, [])
    assert failed.returncode == 1
    assert "docker.io/team/multi:1" in failed.stdout + failed.stderr
    assert pull(mirror, index, amd, arm) == ["hit"] * 4
