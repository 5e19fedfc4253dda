"""Ten images for an air gap, downloaded and written to a bundle by commands with a network."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients import images, site
from tests.clients.images import Image
from tests.clients.site import GITHUB, HUB
from tests.fakes.upstream import FakeUpstream
from tests.harness.daemons import finish
from tests.harness.mirror import MirrorProcess

SIGNED = site.MULTI  # what a signature refers to
SIGNATURE = "application/x.signature"
VOLUME = "256KiB"  # some layers are larger


@dataclass(frozen=True)
class BundledImages:
    """A folder with the volumes of one bundle, the public key of its signer, and its images."""

    disk: Path
    key: Path
    images: tuple[Image, ...]


def pack(folder: Path, chosen: tuple[Image, ...] = ()) -> BundledImages:
    """Do what docs/airgap.md says of the connected side, which then ends; only files are left.

    Without `chosen`, it is ten images of two registries.
    """
    chosen = chosen or (*site.IMAGES, *_build_more())
    private, public = _make_keys(folder)
    listed = folder / "images.txt"
    listed.write_text("".join(f"{_shorten(image)}\n" for image in chosen))
    written, disk = folder / "out", folder / "disk"
    written.mkdir()
    named = ("-f", str(listed))
    cut = ("--mode", "complete", "--volume-size", VOLUME, "--sign", str(private))
    with _connected(folder, chosen) as mirror:
        output = succeed(mirror.run("images", "warm", *named, "--platform", "all"))
        assert f"{len(chosen)} images are stored" in output
        succeed(mirror.run("bundle", "create", "-o", f"{written}/", *named, *cut))
    shutil.copytree(written, disk)
    return BundledImages(disk, public, chosen)


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed that should have worked."""
    assert done.returncode == 0, f"{done.args}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _build_more() -> Iterator[Image]:
    """Six beside those of the site: of both registries, of one and of several platforms."""
    for name in ("web", "queue", "cache"):
        yield images.build_index(HUB, f"library/entrepot-{name}", f"the {name}")
    yield images.build_index(GITHUB, "team/entrepot-agent", "the agent")
    yield images.build_single(HUB, "team/entrepot-job", "the job", media="docker")
    yield images.build_single(GITHUB, "team/deep/entrepot-probe", "the probe", media="oci")


def _shorten(image: Image) -> str:
    """Write a name as people do."""
    return str(image).removeprefix(f"{HUB}/").removeprefix("library/")


def _make_keys(folder: Path) -> tuple[Path, Path]:
    private, public = folder / "maker.pem", folder / "maker.pub.pem"
    finish(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)])
    finish(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)])
    return private, public


@contextmanager
def _connected(folder: Path, chosen: Sequence[Image]) -> Iterator[MirrorProcess]:
    """Start two upstreams that hold these images, and a mirror that has nothing yet."""
    with ExitStack() as stack:
        hubs = {name: stack.enter_context(FakeUpstream()) for name in (HUB, GITHUB)}
        for image in chosen:
            _hold(hubs[image.registry], image)
        hubs[SIGNED.registry].add_image(
            SIGNED.repository,
            None,
            [b"a signature"],
            subject=SIGNED.digest,
            artifact_type=SIGNATURE,
        )
        urls = {name: hub.url for name, hub in hubs.items()}
        yield stack.enter_context(MirrorProcess(folder / "connected", urls))


def _hold(hub: FakeUpstream, image: Image) -> None:
    for blob in image.blobs:
        hub.add_blob(blob, image.repository)
    for manifest in image.manifests:
        hub.add_manifest(image.repository, manifest.digest, manifest.body, manifest.media_type)
    hub.tag(image.repository, image.tag, image.digest)
