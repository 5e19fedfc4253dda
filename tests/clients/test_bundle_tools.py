"""Bundles in the hands of other people's tools: what `bundle create` says of them is so."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import require
from tests.clients.images import here
from tests.clients.programs import missing, place_of
from tests.clients.pullers import Ctr, Docker, Podman
from tests.clients.site import HELLO, MULTI, Site
from tests.harness.daemons import finish, isolate

pytestmark = [pytest.mark.timeout(900), pytest.mark.programs]
MODES = ("subset", "complete", "flat")
MULTI_NAME, HELLO_NAME = str(MULTI), str(HELLO)


@dataclass(frozen=True)
class Sample:
    """One bundle in one mode: as a tar, as a folder, and of one image alone as a tar."""

    mode: str
    tar: Path
    folder: Path
    single: Path
    readers: str


@pytest.fixture(scope="session")
def samples(running_site: Site, folder: Path) -> dict[str, Sample]:
    """A bundle of two images in each mode, made once."""
    running_site.warm()
    made = {}
    for mode in MODES:
        place = folder / "bundles" / mode
        place.mkdir(parents=True)
        sample = Sample(mode, place / "b.tar", place / "b", place / "one.tar", "")
        options = ("--mode", mode, "--platform", f"linux/{here()}")
        both = (HELLO_NAME, MULTI_NAME)
        for output, names in ((f"{sample.folder}/", both), (sample.tar, both)):
            done = running_site.mirror.run("bundle", "create", "-o", str(output), *names, *options)
            assert done.returncode == 0, done.stderr
        running_site.mirror.run("bundle", "create", "-o", str(sample.single), MULTI_NAME, *options)
        made[mode] = Sample(mode, sample.tar, sample.folder, sample.single, done.stdout)
    return made


@pytest.fixture(params=MODES)
def sample(request: pytest.FixtureRequest, samples: dict[str, Sample]) -> Sample:
    return samples[request.param]


def fails(command: list[str], home: Path) -> str:
    """Run what is not expected to work; what it said."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, env=isolate(home)
    )
    assert done.returncode != 0, f"{command} works: {done.stdout}"
    return done.stderr


SKOPEO = [place_of("skopeo"), "--insecure-policy"]


def test_the_line_says_what_is_sparse(sample: Sample) -> None:
    """Who wants every platform is named as unable exactly where some are left out."""
    able, _, unable = sample.readers.partition("\nnot readable by: ")
    assert "docker load" in able
    assert (
        "skopeo (oci-archive:), umoci, skopeo copy --all, because some images have docker's own"
        " media types" in unable
    )
    assert ("ctr images import --all-platforms" in unable) == (sample.mode == "subset")


def test_skopeo_reads_the_archive(sample: Sample, tmp_path: Path) -> None:
    """`oci-archive:` finds an image by its full name, with its digest, unless it is docker's."""
    require(missing("skopeo"))
    source = f"oci-archive:{sample.tar}:{MULTI_NAME}"
    raw = finish([*SKOPEO, "inspect", "--raw", source], isolate(tmp_path))
    assert (MULTI.manifests[-1].body.decode() == raw) == (sample.mode != "flat")
    finish([*SKOPEO, "copy", source, f"dir:{tmp_path}/copy"], isolate(tmp_path))
    source = f"oci-archive:{sample.tar}:{HELLO_NAME}"
    assert "no descriptor found" in fails([*SKOPEO, "inspect", "--raw", source], tmp_path)
    assert "skopeo (oci-archive:)" not in sample.readers.partition("\nnot readable by: ")[0]


def test_skopeo_reads_the_folder(sample: Sample, tmp_path: Path) -> None:
    """The folder is an OCI layout; all of an index can be had where all of it is inside."""
    require(missing("skopeo"))
    command = [*SKOPEO, "copy", "--all", f"oci:{sample.folder}:{MULTI_NAME}", f"dir:{tmp_path}/d"]
    if sample.mode == "subset":
        assert "no such file" in fails(command, tmp_path)
    else:
        finish(command, isolate(tmp_path))


def test_what_is_of_docker_is_not_in_the_layout_for_others(sample: Sample, tmp_path: Path) -> None:
    """Of the folder too, skopeo and umoci read the other images only."""
    require(missing("skopeo", "umoci"))
    source = f"oci:{sample.folder}:{HELLO_NAME}"
    assert "no descriptor found" in fails([*SKOPEO, "inspect", "--raw", source], tmp_path)
    layout = tmp_path / "layout"
    shutil.copytree(sample.folder, layout)
    index = (layout / "index.json").read_text()
    (layout / "index.json").write_text(index.replace(f'"{HELLO_NAME}"', '"hello"'))
    complaint = fails(["umoci", "stat", "--image", f"{layout}:hello"], tmp_path)
    assert "vnd.docker.distribution.manifest" in complaint


def test_skopeo_reads_it_as_of_docker(sample: Sample, tmp_path: Path) -> None:
    """`docker-archive:` finds an image by its full name, and by what docker shows."""
    require(missing("skopeo"))
    for image in (HELLO, MULTI):
        for name in (str(image), str(image).removeprefix("docker.io/library/")):
            source = f"docker-archive:{sample.tar}:{name}"
            finish([*SKOPEO, "copy", source, f"dir:{tmp_path}/d"], isolate(tmp_path))


def test_docker_loads_and_runs(sample: Sample, docker: Docker) -> None:
    """`docker load` brings every image under its name, and they run."""
    docker.forget()
    docker.docker("load", "--input", str(sample.tar))
    assert [HELLO.message, MULTI.message] == [docker.read(HELLO), docker.read(MULTI)]


def test_podman_loads_and_runs(sample: Sample, podman: Podman) -> None:
    """`podman load` brings every image under its name, and they run."""
    podman.forget()
    podman._podman("load", f"--signature-policy={podman._policy}", "--input", str(sample.tar))
    assert [HELLO.message, MULTI.message] == [podman.read(HELLO), podman.read(MULTI)]


def test_containerd_imports_and_runs(sample: Sample, ctr: Ctr) -> None:
    """`ctr images import` brings every image under its full name, and they run."""
    ctr.forget()
    ctr._ctr("images", "import", str(sample.tar))
    assert [HELLO.message, MULTI.message] == [ctr.read(HELLO), ctr.read(MULTI)]


def test_containerd_imports_all_platforms(sample: Sample, ctr: Ctr) -> None:
    """`--all-platforms`, as k3s and kind import, works where nothing is left out."""
    if sample.mode == "subset":
        ctr.forget()  # not after it: what a failed import has brought stays for a while
        with pytest.raises(AssertionError, match="not found"):
            ctr._ctr("images", "import", "--all-platforms", str(sample.tar))
    else:
        ctr._ctr("images", "import", "--all-platforms", str(sample.tar))


def test_crane_pushes_one_image(
    sample: Sample, crane: str, running_site: Site, tmp_path: Path
) -> None:
    """`crane push` takes the file of a single image; of several it says that it cannot choose."""
    registry = running_site.upstreams["ghcr.io"].url.removeprefix("http://")
    target = f"{registry}/pushed/{sample.mode}:1"
    assert "tarball" in fails([crane, "push", str(sample.tar), target], tmp_path)
    said = fails([crane, "push", str(sample.single), f"{registry}.invalid/x:1"], tmp_path)
    assert "tarball" not in said  # it was read; only the registry is missing


def test_oras_copies_out_of_the_folder(sample: Sample, oras: str, tmp_path: Path) -> None:
    """`oras cp` takes an image by its digest out of the folder, sparse or not."""
    index = json.loads((sample.folder / "index.json").read_bytes())
    for entry in index["manifests"]:
        source = f"{sample.folder}@{entry['digest']}"
        options = ["--platform", f"linux/{here()}"] if sample.mode == "subset" else []
        target = f"{tmp_path}/copy:{entry['digest'][7:19]}"
        command = [oras, "cp", *options, "--from-oci-layout", source, "--to-oci-layout", target]
        finish(command, isolate(tmp_path))


def test_umoci_lists_and_unpacks(sample: Sample, tmp_path: Path) -> None:
    """`umoci` takes no full name, as it holds a colon: an image is retagged with skopeo first."""
    require(missing("umoci", "skopeo"))
    listed = finish(["umoci", "ls", "--layout", str(sample.folder)], isolate(tmp_path))
    assert {HELLO_NAME, MULTI_NAME} <= set(listed.split())
    plain = f"oci:{tmp_path}/layout:1"
    copy = [*SKOPEO, "copy", f"oci:{sample.folder}:{MULTI_NAME}", plain]
    finish(copy, isolate(tmp_path))
    unpack = ["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/layout:1"]
    finish([*unpack, f"{tmp_path}/runtime"], isolate(tmp_path))
    assert MULTI.message == (tmp_path / "runtime/rootfs/message").read_text().strip()
