"""Foreign layers: the registry does not have them, and commands say where they are."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream, Fault, Image, Status
from tests.fakes.upstream.images import MANIFEST, describe
from tests.harness.mirror import MirrorProcess
from tests.harness.warming import WarmSite
from tests.integration.images import is_here, warm

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
MICROSOFT = "https://mcr.example/v2/windows/blobs/sha256:ff"
ABSENT = f"sha256:{'f' * 64}"
SENTENCE = f"the layer {ABSENT} is foreign: clients download it from {MICROSOFT}"


def add_foreign(
    hub: FakeUpstream, repository: str, kind: str = FOREIGN, urls: Sequence[str] = (MICROSOFT,)
) -> Image:
    """Add an image with a layer that the registry does not have."""
    base = hub.add_image(repository, None, [repository.encode()])
    document = json.loads(base.manifest)
    layer = describe(kind, ABSENT, 12_345) | ({"urls": urls} if urls else {})
    document["layers"].insert(0, layer)
    raw = json.dumps(document).encode()
    digest = hub.add_manifest(repository, "1", raw, MANIFEST["oci"])
    return Image(repository, "1", digest, raw, MANIFEST["oci"], layers=base.layers)


@pytest.mark.parametrize(
    ("kind", "urls", "where"),
    [
        (FOREIGN, [MICROSOFT], MICROSOFT),
        (f"{NONDISTRIBUTABLE}+gzip", [MICROSOFT], MICROSOFT),
        (NONDISTRIBUTABLE, [], "the registry need not have it, and the image names no other place"),
        ("application/vnd.oci.image.layer.v1.tar+gzip", [MICROSOFT], MICROSOFT),
        (FOREIGN, ["https://a.example/1", MICROSOFT], "https://a.example/1"),
    ],
)
async def test_foreign_layers_are_named(
    hub: FakeUpstream, tmp_path: Path, kind: str, urls: list[str], where: str
) -> None:
    """Warming succeeds and says which layer is where; a bundle says that it cannot carry it."""
    image = add_foreign(hub, "team/windows", kind, urls)
    site = WarmSite(tmp_path / "data", {"endpoints": [hub.url]})

    found = await site.warm("team/windows:1")
    plan = await site.plan("team/windows:1")

    assert (found.failures, len(found.foreign)) == ([], 1)
    assert is_here(site, image.layers)
    (refused,) = plan.failures.values()
    for sentence in (*found.foreign, refused):
        assert ABSENT in sentence
        assert where in sentence


@pytest.mark.parametrize("status", [400, 403, 405, 410])
async def test_refusal_of_a_foreign_layer_is_no_failure(
    hub: FakeUpstream, tmp_path: Path, status: int
) -> None:
    """Registries refuse in many ways what they do not have."""
    add_foreign(hub, "team/windows")
    hub.faults.add(Fault("blob", Status(status), contains=ABSENT, times=None))
    site = WarmSite(tmp_path / "data", {"endpoints": [hub.url]})

    found = await site.warm("team/windows:1")

    assert (found.failures, found.foreign) == ([], [SENTENCE])


async def test_foreign_layer_that_could_not_be_asked_for_is_a_failure(
    hub: FakeUpstream, tmp_path: Path
) -> None:
    """The registry may have the layer: mcr.microsoft.com has those of its own images."""
    add_foreign(hub, "team/windows")
    hub.faults.add(Fault("blob", Status(429), contains=ABSENT, times=None))
    site = WarmSite(tmp_path / "data", {"endpoints": [hub.url]})

    found = await site.warm("team/windows:1")

    assert (len(found.failures), found.foreign) == (1, [])


@pytest.fixture
def mirror(hub: FakeUpstream, tmp_path: Path) -> Iterator[MirrorProcess]:
    """A mirror after an image with a foreign layer was warmed."""
    add_foreign(hub, "team/windows")
    with MirrorProcess(tmp_path, {"docker.io": hub.url}, workers=1) as started:
        report = warm(started, "team/windows:1")["docker.io/team/windows:1"]
        assert (report["failures"], report["foreign_layers"]) == ([], [SENTENCE])
        yield started


def test_commands_advise_no_download(mirror: MirrorProcess, tmp_path: Path) -> None:
    """What no download brings is not advised: the commands say where the layer is."""
    warmed = mirror.run("images", "warm", "team/windows:1")
    shown = mirror.run("images", "show", "team/windows:1")
    offline = mirror.run("images", "ls", "--offline", "team/windows:1")
    pinned = mirror.run("images", "pin", "team/windows:1")
    refreshed = mirror.run("images", "refresh", "team/windows:1")
    output = ("--output", str(tmp_path / "b.tar"))
    bundled = mirror.run("bundle", "create", "team/windows:1", *output)

    results = (warmed, shown, offline, pinned, refreshed, bundled)
    said = [" ".join((each.stdout + each.stderr).split()) for each in results]
    assert [each.returncode for each in results] == [0, 0, 1, 0, 0, 1], said
    assert [SENTENCE in each for each in said] == [True, True, True, False, True, True], said
    assert not any("run: entrepot" in each or "download it with" in each for each in said), said
    assert "push the image to a registry of your own" in said[-1]
