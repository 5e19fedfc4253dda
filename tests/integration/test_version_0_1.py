"""What version 0.1 wrote is read by this version: bundles, a data folder, settings."""

import json
import sqlite3
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from registry.settings.loading import load_settings
from registry.settings.tables import dump
from registry.settings.upstreams import UpstreamSettings
from registry.store.data_folder import open_folder
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream.content import digest_bytes
from tests.harness.bundle_files import BundleProcess
from tests.harness.commands import run_command
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import UPSTREAM_PASSWORD
from tests.integration.wire import fetch, wait_until

SAMPLES = Path(__file__).parents[1] / "samples" / "v0.1"
WRITTEN = 1_795_905_400  # epoch seconds at which the data folder was written
HALF = b"half of it\n" * 300_000  # begins with the layer of half:1, whose size is `SIZE`
SIZE = 3_000_000  # bytes
RECEIVED = 2_399_999  # bytes of it that are in the spool
# A blob that was being deleted: its file is still there.
DELETING = "dd4e08d8696d23df81f2282c0c837d4fdaedd4a50f94e70abd867741c6c5feeb"
FORMS = ["one.tar", "folder", "volumes"]
APP, TOOL = "docker.io/library/app:1", "docker.io/library/tool:2"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundles of version 0.1."""
    return unpack("bundles", tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of version 0.1, as if it was written an hour ago: old pulls are deleted."""
    folder = unpack("data", tmp_path_factory.mktemp("data"))
    later = time.time() - 3600 - WRITTEN
    with closing(sqlite3.connect(folder / "catalog.db", isolation_level=None)) as rows:
        for table, column in (("clients", "pulled"), ("pulls", "pulled"), ("tags", "checked")):
            rows.execute(f"UPDATE {table} SET {column} = {column} + ?", (later,))
    return folder


def unpack(name: str, folder: Path) -> Path:
    with tarfile.open(SAMPLES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="tar")  # which keeps the modes of files
    return folder / name


def lock(bundles: Path) -> bytes:
    return (bundles / "folder" / "bundle.json").read_bytes()


def run_json(*arguments: str | Path, code: int = 0) -> Any:
    done = run_command(*map(str, arguments), "--json")
    assert (done.returncode, done.stderr) == (code, done.stderr), done.stderr + done.stdout
    return json.loads(done.stdout)


def write_config(folder: Path) -> Path:
    config = folder / "new.toml"
    config.write_text(f'[storage]\npath = "{folder / "new"}"\n')
    return config


def pull(mirror: MirrorProcess, repository: str, tag: str) -> list[str]:
    """Pull an image for amd64 with all its blobs; return the digests, each checked."""
    url = f"{mirror.url}/v2/library/{repository}"
    answer = fetch(f"{url}/manifests/{tag}")
    digests = [answer.headers["Docker-Content-Digest"]]
    if "manifests" in answer.json():
        digests.append(answer.json()["manifests"][0]["digest"])
        answer = fetch(f"{url}/manifests/{digests[-1]}")
    manifest = answer.json()
    for each in (manifest["config"], *manifest["layers"]):
        blob = fetch(f"{url}/blobs/{each['digest']}")
        assert (blob.status, digest_bytes(blob.body)) == (200, each["digest"])
        digests.append(each["digest"])
    return digests


@pytest.mark.parametrize("form", FORMS)
def test_a_bundle_is_verified(bundles: Path, form: str) -> None:
    """Every byte of it is right, and its signature is that of the key."""
    key = bundles / "maker.pub.pem"

    facts = run_json("bundle", "verify", bundles / form, "--key", key)

    assert (facts["whole"], facts["problems"]) == (True, [])
    assert facts["signer"] == "maker.pub.pem"
    assert facts["bundle"] == json.loads(lock(bundles))["bundleId"]


@pytest.mark.parametrize("form", FORMS)
def test_a_bundle_is_imported(bundles: Path, tmp_path: Path, form: str) -> None:
    """All its images are there afterwards, by their names."""
    config = write_config(tmp_path)

    run_json("bundle", "import", bundles / form, "--config", config)
    images = run_json("images", "ls", "--config", config)

    tagged = {each["name"]: each for each in images if "@" not in each["name"]}
    assert tagged.keys() == {APP, TOOL}
    assert {each["bundle"] for each in tagged.values()} == {json.loads(lock(bundles))["bundleId"]}


@pytest.mark.parametrize("form", FORMS)
def test_a_bundle_is_served(bundles: Path, tmp_path: Path, form: str) -> None:
    """Both images can be pulled from the files of the bundle."""
    served = BundleProcess(tmp_path / "served", [bundles / form], workers=1)
    with served:
        pulled = [*pull(served, "app", "1"), *pull(served, "tool", "2")]

    assert len(pulled) == 8


def test_an_inventory_is_read(bundles: Path, data: Path, tmp_path: Path) -> None:
    """The next bundle omits the layers that an inventory of version 0.1 lists."""
    config = tmp_path / "old.toml"
    config.write_text(f'[storage]\npath = "{data}"\n')
    create = ("bundle", "create", "-o", tmp_path / "delta.tar", "tool:2", "--config", config)

    run_json(*create, "--have", bundles / "inventory.json")

    facts = run_json("bundle", "info", tmp_path / "delta.tar")
    assert [each["omitted_bytes"] for each in facts["images"]] == [2000]


@pytest.fixture(scope="module")
def mirror(
    data: Path, shared_hub: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MirrorProcess]:
    """A mirror that serves the data folder of version 0.1."""
    folder, settings = tmp_path_factory.mktemp("mirror"), {"storage": {"path": str(data)}}
    with MirrorProcess(folder, {"docker.io": shared_hub.url}, settings, workers=1) as running:
        yield running


def test_images_of_the_data_folder_are_served(
    mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """An image that version 0.1 stored is pulled, and none of its blobs is downloaded."""
    pulled = [*pull(mirror, "app", "1"), *pull(mirror, "tool", "2")]

    assert len(pulled) == 8
    assert [each for each in shared_hub.journal.of("blob") if each.digest in pulled] == []


def test_facts_of_the_data_folder_are_known(mirror: MirrorProcess) -> None:
    """Names, the last pull, the signer of the bundle and pins are what they were."""
    config = ("--config", mirror.config)

    images = {each["name"]: each for each in run_json("images", "ls", *config)}

    tagged = [name.removeprefix("docker.io/library/") for name in images if "@" not in name]
    assert sorted(tagged) == ["app:1", "half:1", "old:3", "tool:2"]
    app = images[APP]
    assert (app["pins"], app["signer"]) == ([APP], "maker.pub.pem")
    assert time.time() - 7200 < app["pulled"] < time.time()
    assert mirror.run("images", "unpin", "app:1").returncode == 0
    assert [each["pins"] for each in run_json("images", "ls", "app:1", *config)] == [[]]


def test_pulls_are_known(mirror: MirrorProcess) -> None:
    """What clients pulled from version 0.1 can be asked for, by the names they used."""
    output = mirror.run("images", "warm", "--pulled-since", "7d", "--explain").stdout

    assert all(name in output for name in ("app:1", "half:1", "old:3", "tool:2"))


@pytest.mark.usefixtures("mirror")
def test_a_deletion_is_finished(data: Path) -> None:
    """The file of a blob that version 0.1 was deleting is deleted, and no longer counted."""
    with tarfile.open(SAMPLES / "data.tar.xz") as kept:
        assert any(name.endswith(DELETING) for name in kept.getnames())

    wait_until(lambda: not [*(data / "blobs").rglob(DELETING)], "the deletion is finished")


def test_a_download_is_continued(mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """The upstream is asked only for the bytes that version 0.1 had not received."""
    shared_hub.add_image("library/half", "1", [HALF[:SIZE]])

    pull(mirror, "half", "1")

    asked = [each.headers.get("Range") for each in shared_hub.journal.of("blob", "GET")]
    assert f"bytes={RECEIVED}-{SIZE - 1}" in asked


def test_a_cut_blob_is_completed(bundles: Path, mirror: MirrorProcess) -> None:
    """The second volume brings the parts that the first one, imported by version 0.1, has not."""
    done = run_command(
        "bundle", "import", str(bundles / "cut-0002-of-0002.tar"), "--config", str(mirror.config)
    )

    assert done.returncode == 0, done.stdout + done.stderr
    pull(mirror, "cut", "1")


def test_settings_mean_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings file of version 0.1 that uses every key is loaded with the same values.

    For upstreams without the key, only the default of `connections` is another one.

    Its relative paths are those of files in the folder that the program was started in.
    """
    for name in ("server.pem", "server.key", "maker.pub.pem", "ca.pem"):
        (tmp_path / name).touch()
    (tmp_path / "password").write_text(UPSTREAM_PASSWORD)
    monkeypatch.chdir(tmp_path)
    kept = json.loads((SAMPLES / "settings.json").read_bytes())
    data = open_folder(tmp_path / kept["storage"]["path"])
    kept["storage"]["path"] = str(data.root)
    for name, upstream in kept["upstreams"].items():
        if name != "docker.io":  # whose table has the key
            upstream["connections"] = UpstreamSettings.connections

    found = dump(load_settings(SAMPLES / "entrepot.toml", {}))

    assert kept == select(found, kept)


def select(found: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values of `found` whose keys are in `kept`."""
    return {
        key: select(found[key], value) if isinstance(value, dict) else found[key]
        for key, value in kept.items()
    }
