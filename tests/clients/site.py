"""Two registries, each behind a scriptable upstream, and one mirror of both."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients import images
from tests.clients.images import Image
from tests.conformance import debian_registry
from tests.fakes.client import Answer, ask
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream import Image as HeldImage
from tests.harness.mirror import MirrorProcess

HUB, GITHUB = "docker.io", "ghcr.io"
FRESH_FOR = "1s"
PATIENCE = 60.0  # seconds for what must come true by itself
SIGNED = "library/entrepot-signed"

# No such names exist at the real registries. The two tools differ in nothing but their registry.
HELLO = images.build_single(HUB, "library/entrepot-hello", "hello from the hub", media="docker")
MULTI = images.build_index(HUB, "library/entrepot-multi", "one of several")
HUB_TOOL = images.build_single(HUB, "team/entrepot-tool", "the tool of docker.io", media="oci")
GITHUB_TOOL = images.build_single(GITHUB, "team/entrepot-tool", "the tool of ghcr.io", media="oci")
IMAGES = (HELLO, MULTI, HUB_TOOL, GITHUB_TOOL)


@dataclass(frozen=True)
class MirroredUpstreams:
    """The upstreams by the registry that each one plays, and the mirror."""

    upstreams: dict[str, FakeUpstream]
    mirror: MirrorProcess

    def chill(self) -> None:
        """Let the mirror forget all it has, and the journals what was asked."""
        self.mirror.stop()
        shutil.rmtree(self.mirror.data)
        for hub in self.upstreams.values():
            hub.journal.clear()
        self.mirror.start()

    def restart(self) -> None:
        """Start the mirror again: a new process has a closed circuit breaker for each upstream."""
        self.mirror.stop()
        self.mirror.start()


@dataclass(frozen=True)
class Site(MirroredUpstreams):
    """The upstreams and the mirror, with images that several kinds of clients pull."""

    signed: HeldImage
    signature: HeldImage

    def look(self, registry: str, repository: str, path: str, method: str = "GET") -> Answer:
        """Ask the mirror, as a client that writes the registry before the repository."""
        url = f"{self.mirror.url}/v2/{registry}/{repository}/{path}"
        return ask(url, method=method, timeout=30)

    def blob_fetches(self, digest: str) -> int:
        """How often any upstream sent this blob."""
        return sum(hub.journal.blob_fetches(digest) for hub in self.upstreams.values())

    def manifest_fetches(self, image: Image) -> Counter[str]:
        """How often the upstream sent each manifest behind the tag, by digest."""
        fetched: Counter[str] = Counter()
        for entry in self.upstreams[image.registry].journal.of("manifest", "GET"):
            repository, _, reference = entry.path.removeprefix("/v2/").rpartition("/manifests/")
            if repository == image.repository and entry.status == 200:
                fetched[image.digest if reference == image.tag else reference] += 1
        return fetched

    def warm(self) -> None:
        """Let everything be in the mirror."""
        for image in IMAGES:
            self._fetch(image.registry, image.repository, f"manifests/{image.tag}")
            for manifest in image.manifests:
                self._fetch(image.registry, image.repository, f"manifests/{manifest.digest}")
            for digest in image.blob_digests:
                self._fetch(image.registry, image.repository, f"blobs/{digest}")
        self._fetch(HUB, SIGNED, f"manifests/{self.signed.tag}")
        self._fetch(HUB, SIGNED, f"referrers/{self.signed.digest}")
        for held in (self.signed, self.signature):
            self._fetch(HUB, SIGNED, f"manifests/{held.digest}")
            for digest in held.blobs:
                self._fetch(HUB, SIGNED, f"blobs/{digest}")

    def _fetch(self, registry: str, repository: str, path: str) -> None:
        answer = self.look(registry, repository, path)
        assert answer.status == 200, f"{registry}/{repository}/{path}: {answer}"

    def is_stale(self, image: Image) -> bool:
        """Whether the mirror has to serve this tag without having been able to ask."""
        answer = self.look(image.registry, image.repository, f"manifests/{image.tag}", "HEAD")
        return answer.headers["X-Entrepot-Origin"] == "stale"

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Stop the upstreams, wait until every tag is past its freshness; start them at the end."""
        for hub in self.upstreams.values():
            hub.stop()
        try:
            for image in IMAGES:
                wait_until(lambda image=image: self.is_stale(image), f"{image} is not stale")
            yield
        finally:
            for hub in self.upstreams.values():
                hub.start()
            self.restart()


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait for a condition; when it does not come true, say `otherwise`."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """Start it all, the images pushed and nothing yet in the mirror."""
    with ExitStack() as stack:
        upstreams: dict[str, FakeUpstream] = {}
        for name in (HUB, GITHUB):
            place = folder / name
            place.mkdir()
            registry = stack.enter_context(debian_registry.running(place))
            for image in _of(name):
                images.push(registry, image)
            upstreams[name] = stack.enter_context(FakeUpstream(backend=registry))
        hub = upstreams[HUB]
        # Debian's registry has no referrers API, so these two are the fake's own.
        signed = hub.add_image(SIGNED, "1.0", [b"something to sign"])
        signature = hub.add_image(
            SIGNED, None, [b"a signature"], subject=signed, artifact_type="application/x.signature"
        )
        mirror = MirrorProcess(
            folder / "mirror",
            {name: upstream.url for name, upstream in upstreams.items()},
            {"tags": {"fresh_for": FRESH_FOR}},
        )
        yield Site(upstreams, stack.enter_context(mirror), signed, signature)


def _of(registry: str) -> Iterable[Image]:
    return (image for image in IMAGES if image.registry == registry)
