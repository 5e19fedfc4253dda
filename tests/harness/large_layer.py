"""A large layer at one or several upstreams, and a file with its right bytes."""

from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True)
class LargeLayer:
    """One blob; the file `expected` has its bytes."""

    repository: str
    digest: str
    size: int
    expected: Path
    hubs: tuple[FakeUpstream, ...]

    def url(self, mirror: MirrorProcess) -> str:
        """Return its URL at a mirror."""
        return f"{mirror.url}/v2/{self.repository}/blobs/{self.digest}"

    def pull_manifest(self, mirror: MirrorProcess) -> str:
        """Pull the manifest, as every client does first; return the URL of the blob."""
        answer = httpx.get(f"{mirror.url}/v2/{self.repository}/manifests/1", timeout=30)
        answer.raise_for_status()
        return self.url(mirror)

    def part(self, mirror: MirrorProcess) -> Path:
        """Return the path of its partial file."""
        return mirror.data / "spool" / f"{self.digest.replace(':', '-')}.part"

    def file(self, mirror: MirrorProcess) -> Path:
        """Return the path of its file after the download."""
        algorithm, encoded = self.digest.split(":")
        return mirror.data / "blobs" / algorithm / encoded[:2] / encoded

    def await_file(self, mirror: MirrorProcess) -> bytes:
        """Wait until it is stored, which may be after clients have it; return its bytes."""
        await_truth(lambda: self.file(mirror).exists())
        return self.file(mirror).read_bytes()

    def sent(self) -> int:
        """Return how many bytes of it the upstreams have sent."""
        return sum(
            entry.body_bytes
            for hub in self.hubs
            for entry in hub.journal
            if entry.digest == self.digest and entry.status in {200, 206}
        )

    def fetches(self) -> int:
        """Return how many requests were answered with bytes of it."""
        return sum(hub.journal.blob_fetches(self.digest) for hub in self.hubs)


def publish(
    folder: Path, size: int, *hubs: FakeUpstream, repository: str = "library/large"
) -> LargeLayer:
    """Add an image `repository:1` with one layer of `size` bytes; all hubs get the same."""
    for hub in hubs:
        digest = hub.add_big_blob(size, seed=size)
        hub.add_image(repository, "1", [digest])
    expected = folder / f"expected-{size}"
    expected.write_bytes(hubs[0].blob(digest))
    return LargeLayer(repository, digest, size, expected, hubs)
