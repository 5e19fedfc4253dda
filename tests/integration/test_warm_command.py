"""`entrepot images warm` beside a running mirror: what it reads, downloads, uses up and prints."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.large_layer import KIB, MIB
from tests.harness.mirror import MirrorProcess
from tests.integration.images import (
    add_platforms,
    ask,
    is_here,
    is_warm,
    keep,
    make_layer,
    read_knowledge,
    run_json,
    warm,
)
from tests.integration.wire import PATIENCE, wait_until

POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: %s}]}"
)


def test_sources_of_every_kind_are_mixed(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, tmp_path: Path
) -> None:
    """Arguments, lists, compose files, YAML from stdin and Dockerfiles become one list."""
    names = ("named", "listed", "composed", "deployed", "built")
    images = [shared_hub.add_image(f"mix/{name}", "1", [name.encode()]) for name in names]
    (tmp_path / "images.txt").write_text("mix/listed:1  # by hand\ndocker.io/mix/named:1\n")
    (tmp_path / ".env").write_text("TAG=1\n")
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'mix/composed:$TAG'}}")
    (tmp_path / "Dockerfile").write_text("ARG V=9\nFROM mix/built:$V\n")
    files = [f"-f{tmp_path / name}" for name in ("images.txt", "compose.yaml", "Dockerfile")]
    arguments = ("images", "warm", "mix/named:1", *files, "-f", "-", "--build-arg", "V=1")

    explained = shared_mirror.run(*arguments, "--explain", stdin=POD % "mix/deployed:1")
    before = is_here(shared_mirror, [images[0].digest])
    result = shared_mirror.run(*arguments, stdin=POD % "mix/deployed:1")

    assert (explained.returncode, before) == (0, False)
    assert f"{tmp_path}/images.txt:1 by hand" in explained.stdout
    assert "stdin:4 Pod/web container app" in explained.stdout
    assert "the command line" in explained.stdout
    assert result.returncode == 0, result.stderr
    assert is_warm(shared_mirror, *images)
    lines = result.stdout.splitlines()
    assert len(lines) == len(images) + 1
    assert lines[-1].startswith("5 images are stored, ")
    assert "\x1b" not in result.stdout + result.stderr


def test_one_that_fails_stops_no_other(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, tmp_path: Path
) -> None:
    """Failed images are listed last, with the reason and the places; it exits with 1."""
    good = [shared_hub.add_image("partly/app", tag, [tag.encode()]) for tag in ("a", "z")]
    (tmp_path / "images.txt").write_text(
        "partly/app:a\npartly/nosuch:1 # for tests\nnowhere.example:1/a:1\npartly/app:z\n"
    )

    result = shared_mirror.run("images", "warm", "-f", str(tmp_path / "images.txt"))

    assert (result.returncode, is_warm(shared_mirror, *good)) == (1, True)
    lines = result.stderr.splitlines()
    why = "partly/nosuch:1 failed: not found at docker.io: check the name and the tag; a private"
    assert any(why in line for line in lines)
    assert f"  wanted by {tmp_path}/images.txt:2 for tests" in lines
    assert "configured upstreams: docker.io" in result.stderr
    assert lines[-1] == "entrepot: 2 of 4 images failed"


def test_a_guess_that_is_not_found_is_no_failure(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """A field that only looks like an image, and is not found, is a remark and no failure."""
    image = shared_hub.add_image("guessed/app", "1", [b"guessed"])
    text = "kind: Operator\nspec: {one: {image: guessed/app:1}, two: {image: guessed/nosuch:1}}"

    result = shared_mirror.run("images", "warm", "-f", "-", stdin=text)

    assert result.returncode == 0, result.stderr
    assert is_warm(shared_mirror, image)
    assert "guessed/nosuch:1 only looks like an image, and was not found" in result.stderr
    assert result.stdout.splitlines()[-1].startswith("1 image is stored, ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "name images, a file with --file"),
        (("-f", "no.txt"), 2, "no.txt: cannot be read (No such file or directory)"),
        (
            ("-f", "-"),
            2,
            "none in stdin; check whether the program that wrote it failed",
        ),
        (
            ("--pulled", "no/*", "-f", "-"),
            2,
            "none in stdin or the images that clients pulled; check",
        ),
        (("library/*",), 2, "--pulled 'library/*'"),
        (("--client", "alice"), 2, "a network such as"),
        (("--pulled-since", "often"), 2, "is not a duration"),
        (("a:1", "--platform", "Amd64"), 2, "write amd64, linux/amd64 or linux/arm/v7"),
        (("a:1", "--build-arg", "=1"), 2, "write NAME=VALUE"),
    ],
)
def test_mistakes_are_explained(
    shared_mirror: MirrorProcess, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """A mistake is explained on stderr with what to write, and nothing is downloaded."""
    result = shared_mirror.run("images", "warm", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


def test_a_dry_run_changes_nothing(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """A dry run asks by HEAD only, says what a run would cost, and changes no row and no file."""
    known = shared_hub.add_image("dried/known", "1", [b"known"])
    shared_hub.add_image("dried/new", "1", [b"new"])
    keep(shared_mirror, known)
    before = read_knowledge(shared_mirror.data)
    shared_hub.journal.clear()

    report = warm(shared_mirror, "dried/known:1", "dried/new:1", "--dry-run")

    assert report["docker.io/dried/known:1"]["estimate"] == {
        "min_requests": 0,
        "max_requests": 0,
        "missing_bytes": 0,
    }
    assert report["docker.io/dried/new:1"]["estimate"] == {
        "min_requests": 1,
        "max_requests": 3,
        "missing_bytes": None,
    }
    assert before == read_knowledge(shared_mirror.data)
    assert shared_hub.journal.count("manifest", "GET") == 0


def test_a_dry_run_adds_up(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """The last line of a dry run counts the images whose size is not known yet."""
    keep(shared_mirror, shared_hub.add_image("added/known", "1", [b"known"]))
    names = [f"added/new:{number}" for number in range(3)]
    for number in range(3):
        shared_hub.add_image("added/new", str(number), [make_layer(number)])

    lines = shared_mirror.run("images", "warm", "added/known:1", *names, "--dry-run").stdout

    assert lines.splitlines() == [
        "docker.io/added/known:1: up to date",
        *(f"would download docker.io/{name}" for name in names),
        "would download 3 of 4 images; the size of 3 is not known yet",
    ]


def test_an_image_for_another_platform_is_reported(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """An image without an index is downloaded for its own platform, with a remark."""
    shared_hub.add_image("foreign/app", "1", [b"arm"], platform=("linux", "arm64"))

    result = shared_mirror.run("images", "warm", "foreign/app:1", "--platform", "linux/amd64")

    assert result.returncode == 0
    assert "foreign/app:1 is only for linux/arm64: it is used anyway" in result.stderr


def test_an_interrupted_run_continues(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """After a kill in the middle of a blob, the next run downloads only the rest of it."""
    image = hub.add_image("large/app", "1", [hub.add_big_blob(4 * MIB)])
    mirror = make_mirror(workers=1)
    command = [sys.executable, "-m", "registry", "images", "warm", "large/app:1"]
    hub.rate = MIB
    with subprocess.Popen([*command, "--config", mirror.config]) as running:
        wait_until(lambda: measure_parts(mirror.data) > MIB, "a part of it is here")
        running.kill()
        running.wait()
    written, sent = measure_parts(mirror.data), hub.journal.bytes_sent(image.layers[0])
    hub.rate = None

    report = warm(mirror, "large/app:1")

    assert report[""]["images"][0]["failures"] == []
    assert is_warm(mirror, image)
    # What was on its way to the killed one may still be counted after its end.
    assert hub.journal.bytes_sent(image.layers[0]) - sent <= 4 * MIB - written + 512 * KIB


def measure_parts(data: Path) -> int:
    return sum(path.stat().st_size for path in (data / "spool").glob("*.part"))


def test_the_pull_limit_is_printed_and_kept(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """The pull limit is printed first; an image that needs more fails without a request."""
    for number in range(4):
        hub.add_image("counted/app", str(number), [make_layer(number)])
    hub.pulls_left, hub.pulls_limit = 2, 100
    mirror = make_mirror(workers=1)
    names = [f"counted/app:{number}" for number in range(4)]

    result = mirror.run("images", "warm", *names, "--concurrency", "1")

    assert result.returncode == 1
    first = result.stderr.splitlines()[0]
    assert first.startswith("docker.io: this needs 4 to 12 manifest requests; 2 of 100 in 6h")
    assert "run the command again later" in first
    assert result.stderr.count("and its pull limit has 0 left; try again in 6 h") == 2
    assert hub.journal.count("manifest", "GET") == 2
    hub.pulls_left = 50
    report = warm(mirror, *names)
    assert [each["estimate"]["min_requests"] for each in report[""]["images"]] == [0, 0, 1, 1]


def test_what_was_pulled_is_a_source(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Earlier pulls are a source of names, which can be narrowed by client and image."""
    index, amd, _ = add_platforms(hub, "team/multi")
    single = hub.add_image("other/app", "2", [b"app"])
    mirror = make_mirror(workers=1)
    for _ in range(3):  # the later ones are repeated from memory
        keep(mirror, index, amd, single)
    wait_until(lambda: len(ask(mirror.data, "SELECT * FROM pulls")) == 3, "pulls are noted")
    assert {row[0] for row in ask(mirror.data, "SELECT client FROM pulls")} == {"127.0.0.1"}
    mirror.run("cache", "evict", "--to", "1B")
    explain = ("images", "warm", "--explain")

    both = run_json(mirror, *explain, "--pulled-since", "1h", "--client", "127.*")
    one = run_json(mirror, *explain, "--pulled", "other/*")
    none = run_json(mirror, *explain, "--pulled-since", "30d", "--client", "10.0.0.0/8")
    warmed_image = warm(mirror, "--pulled-since", "30d")

    names = {"docker.io/team/multi:1", "docker.io/other/app:2"}
    assert {each["image"] for each in both["images"]} == names
    assert [each["image"] for each in one["images"]] == ["docker.io/other/app:2"]
    assert one["images"][0]["wanted_by"] == ["pulled just now by 127.0.0.1"]
    assert none["images"] == []
    assert {each["image"] for each in warmed_image[""]["images"]} == names
    assert is_warm(mirror, index, amd, single)


def test_offline_it_is_refused(make_mirror: MirrorMaker) -> None:
    """With offline = true, the command fails at once with the reason."""
    mirror = make_mirror({"offline": True}, workers=1)
    result = mirror.run("images", "warm", "team/app:1")
    assert (result.returncode, result.stdout) == (2, "")
    assert "entrepot: offline = true, so no upstream is asked; run this where" in result.stderr


def test_on_a_terminal_bars_show_downloads(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """There is one bar for everything and one for each blob; lines are printed above them."""
    image = hub.add_image("large/app", "1", [hub.add_big_blob(2 * MIB)])
    mirror = make_mirror(workers=1)
    hub.rate = MIB
    command = [sys.executable, "-m", "registry", "images", "warm", "large/app:1"]
    terminal, inside = pty.openpty()
    running = subprocess.Popen(
        [*command, "--config", mirror.config],
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    text = read_terminal(terminal)
    code = running.wait(PATIENCE)

    bare = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    lines = bare.replace("\r\n", "\n").replace("\r", "\n").splitlines()
    assert code == 0
    assert any(line.startswith("all ") and "/2.0 MiB" in line for line in lines)
    assert any(line.startswith(f"  app:1 {image.layers[0][7:19]} ") for line in lines)
    assert "-:--" not in bare, "what is not known yet is left out"
    assert re.search(r"/2.0 MiB [0-9.]+ [KM]iB/s 0:00:0[0-9]", bare), "the pace, and what is left"
    assert "docker.io/large/app:1: 2 MiB downloaded" in lines
    assert lines[-1] == "1 image is stored, 2 MiB downloaded"


def read_terminal(terminal: int) -> str:
    """Return what programs print on a terminal until the last of them has closed it."""
    shown = b""
    with contextlib.suppress(OSError):  # Linux reports the end by this error
        while piece := os.read(terminal, 65_536):
            shown += piece
    os.close(terminal)
    return shown.decode()
