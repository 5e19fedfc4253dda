"""A lost or damaged catalog loses no image: it is made again from the files."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.catalog.database import migrate
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch


def forget(catalog: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        catalog.with_name(catalog.name + suffix).unlink(missing_ok=True)


def spoil(catalog: Path) -> None:
    catalog.write_bytes(b"this is no catalog" * 1000)


def cut(catalog: Path) -> None:
    catalog.write_bytes(catalog.read_bytes()[: catalog.stat().st_size // 2])


def empty(catalog: Path) -> None:
    forget(catalog)
    catalog.touch()


HARMS: dict[str, Callable[[Path], None]] = {
    "lost": forget,
    "overwritten": spoil,
    "cut off": cut,
    "emptied": empty,
}


@pytest.mark.parametrize("harm", HARMS)
def test_known_images_are_known_again(
    make_mirror: MirrorMaker, hub: FakeUpstream, harm: str
) -> None:
    """Tags, digests and layers serve from what is on disk, and no upstream is asked for them."""
    members = [
        hub.add_image("team/lost", None, [f"layer {n}".encode() * 999], platform=("linux", arch))
        for n, arch in enumerate(("amd64", "arm64"))
    ]
    index = hub.add_index("team/lost", "1", members)
    mirror = make_mirror({"tags": {"fresh_for": "1h"}})
    asked = pull_all(mirror, [("1", index.manifest), *((m.digest, m.manifest) for m in members)])
    blobs = [digest for member in members for digest in member.blobs]
    before = {digest: fetch_blob(mirror, digest) for digest in blobs}
    assert asked == 3
    mirror.stop()
    HARMS[harm](mirror.data / "catalog.db")
    hub.stop()

    began = time.monotonic()
    mirror.start()

    assert time.monotonic() - began < 20
    assert asked == pull_all(
        mirror, [("1", index.manifest), *((m.digest, m.manifest) for m in members)]
    )
    assert {digest: fetch_blob(mirror, digest) for digest in blobs} == before
    (event,) = mirror.events("catalog rebuilt")
    assert (event["names"], event["lost"]) == (4, 0)
    assert event["blobs"] == 3 + len(set(blobs))


def pull_all(mirror: MirrorProcess, wanted: list[tuple[str, bytes]]) -> int:
    """Pull manifests by reference, and return how many were right."""
    base = f"{mirror.url}/v2/team/lost/manifests"
    return sum(fetch(f"{base}/{reference}").body == manifest for reference, manifest in wanted)


def fetch_blob(mirror: MirrorProcess, digest: str) -> bytes:
    answer = fetch(f"{mirror.url}/v2/team/lost/blobs/{digest}")
    assert answer.status == 200
    return answer.body


def test_a_sound_catalog_is_left_alone(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Neither a first start nor a restart recovers anything."""
    hub.add_image("team/lost", "1", [b"x"])
    mirror = make_mirror()
    fetch(f"{mirror.url}/v2/team/lost/manifests/1")
    mirror.kill()
    mirror.start()
    assert mirror.events("catalog rebuilt") == []
    assert not (mirror.data / "catalog.db.broken").exists()


def test_a_recovery_that_was_cut_short_is_begun_again(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """As long as it has not come to its end the catalog counts as lost, and commands refuse it."""
    image = hub.add_image("team/lost", "1", [b"layer"])
    mirror = make_mirror({"tags": {"fresh_for": "1h"}})
    pull_all(mirror, [("1", image.manifest)])
    assert mirror.run("images", "pin", "team/lost:1").returncode == 0
    mirror.stop()
    forget(mirror.data / "catalog.db")

    refused = mirror.run("images", "ls")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "start `entrepot serve`" in refused.stderr
    assert not (mirror.data / "catalog.db").exists()
    # As a kill in the middle leaves it: a new catalog that knows nothing, and the mark.
    migrate(mirror.data / "catalog.db")
    (mirror.data / "CATALOG-LOST").touch()
    mirror.start()
    (event,) = mirror.events("catalog rebuilt")
    assert (event["names"], event["pins"]) == (2, 1)
    assert not (mirror.data / "CATALOG-LOST").exists()
    listed = mirror.run("images", "ls", "--json")
    assert '"pins": ["docker.io/team/lost:1"]' in listed.stdout
