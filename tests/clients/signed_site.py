"""Images as buildx and cosign publish them, behind two upstreams and one mirror of both.

Each image is an index with attestations and an SBOM, and every manifest is signed; a Helm chart is
one manifest with the same attached to it. Docker Hub is played with a referrers API and with the
signatures of cosign 3; GitHub's registry without, and with those of cosign 2, which are tags.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients import images
from tests.clients.images import Image
from tests.clients.signatures import SBOM, Signer, attach
from tests.clients.site import GITHUB, HUB, MirroredUpstreams
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.fakes.upstream.images import INDEX
from tests.harness.mirror import MirrorProcess

IMAGES = (
    images.build_index(HUB, "team/entrepot-signed", "signed by cosign 3", is_attested=True),
    images.build_index(GITHUB, "team/entrepot-signed", "signed by cosign 2", is_attested=True),
)


CHARTS = (
    images.build_chart(HUB, "team/entrepot-chart", "a chart signed by cosign 3"),
    images.build_chart(GITHUB, "team/entrepot-chart", "a chart signed by cosign 2"),
)


@dataclass(frozen=True)
class SignedSite(MirroredUpstreams):
    """The upstreams and the mirror; `referrers` are the digests of those of each image."""

    public_key: Path
    referrers: dict[Image, frozenset[str]]

    @contextmanager
    def broken(self, break_off: Callable[[FakeUpstream], None]) -> Iterator[None]:
        """Let both upstreams fail in this way until the end, before a mirror that starts anew."""
        self.restart()
        for hub in self.upstreams.values():
            break_off(hub)
        try:
            yield
        finally:
            for hub in self.upstreams.values():
                hub.faults.clear()
                hub.unhang()
                hub.start()

    def warm(self, wanted: Iterable[Image], *options: str) -> None:
        """Let nothing be in the mirror but what `entrepot images warm` downloads."""
        self.chill()
        done = self.mirror.run("images", "warm", *map(str, wanted), *options)
        assert done.returncode == 0, done.stdout + done.stderr


def answer(status: int) -> Callable[[FakeUpstream], None]:
    """Return what lets an upstream answer everything with this status."""

    def break_off(hub: FakeUpstream) -> None:
        hub.faults.add(Fault("any", Status(status, "{}"), times=None))

    return break_off


@contextmanager
def running(folder: Path) -> Iterator[SignedSite]:
    """Start it all, the images published and nothing yet in the mirror."""
    folder.mkdir()
    signer = Signer()
    public_key = folder / "cosign.pub"
    public_key.write_bytes(signer.public_key())
    with ExitStack() as stack:
        upstreams = {name: stack.enter_context(FakeUpstream()) for name in (HUB, GITHUB)}
        referrers = {}
        for image in IMAGES + CHARTS:
            hub = upstreams[image.registry]
            hub.referrers_supported = image.registry == HUB
            referrers[image] = publish(hub, image, signer)
        mirror = MirrorProcess(
            folder / "mirror",
            {name: upstream.url for name, upstream in upstreams.items()},
            {"tags": {"fresh_for": "0s", "wait_for": "0.3s"}},
        )
        stack.enter_context(mirror)
        yield SignedSite(upstreams, mirror, public_key, referrers)


def publish(hub: FakeUpstream, image: Image, signer: Signer) -> frozenset[str]:
    """Add the image with its SBOM and signatures; return the referrers of its index."""
    repository, index = image.repository, image.manifests[-1]
    for blob in image.blobs:
        hub.add_blob(blob, repository)
    for manifest in image.manifests:
        hub.add_manifest(repository, None, manifest.body, manifest.media_type)
    hub.tag(repository, image.tag, image.digest)
    referrers = {attach(hub, repository, index, SBOM, b'{"spdxVersion":"SPDX-2.3"}')}
    if hub.referrers_supported:
        signed = [signer.attach_bundle(hub, repository, each) for each in image.manifests]
        return frozenset({*referrers, signed[-1]})
    for manifest in image.manifests:
        signer.attach_tag(hub, repository, manifest)
    listed = {"schemaVersion": 2, "mediaType": INDEX["oci"]}
    listed["manifests"] = hub.list_referrers(repository, image.digest)
    body = json.dumps(listed).encode()
    hub.add_manifest(repository, image.digest.replace(":", "-"), body, INDEX["oci"])
    return frozenset(referrers)
