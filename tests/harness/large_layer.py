"""A large layer at an upstream (or at several), and the file that says which bytes are right."""

from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True)
class Cargo:
    """One blob: `truth` holds its bytes."""

    repository: str
    digest: str
    size: int
    truth: Path
    hubs: tuple[FakeUpstream, ...]

    def url(self, mirror: MirrorProcess) -> str:
        """Where to pull it from a mirror."""
        return f"{mirror.url}/v2/{self.repository}/blobs/{self.digest}"

    def introduce(self, mirror: MirrorProcess) -> str:
        """Pull its manifest, as every client does first; gives the blob's URL."""
        answer = httpx.get(f"{mirror.url}/v2/{self.repository}/manifests/1", timeout=30)
        answer.raise_for_status()
        return self.url(mirror)

    def part(self, mirror: MirrorProcess) -> Path:
        """Its file while it is arriving."""
        return mirror.data / "spool" / f"{self.digest.replace(':', '-')}.part"

    def file(self, mirror: MirrorProcess) -> Path:
        """Its file when it is whole."""
        algorithm, encoded = self.digest.split(":")
        return mirror.data / "blobs" / algorithm / encoded[:2] / encoded

    def await_file(self, mirror: MirrorProcess) -> bytes:
        """Wait until it is whole on disk, which may be after the client has it; its bytes."""
        await_truth(lambda: self.file(mirror).exists())
        return self.file(mirror).read_bytes()

    def sent(self) -> int:
        """Bytes of it that the upstreams gave; refusals and redirects are none."""
        return sum(
            entry.body_bytes
            for hub in self.hubs
            for entry in hub.journal
            if entry.digest == self.digest and entry.status in {200, 206}
        )

    def fetches(self) -> int:
        """Requests that were answered with bytes of it."""
        return sum(hub.journal.blob_fetches(self.digest) for hub in self.hubs)


def publish(
    folder: Path, size: int, *hubs: FakeUpstream, repository: str = "library/large"
) -> Cargo:
    """Add an image `repository:1` with one layer of `size` bytes, the same at every hub."""
    for hub in hubs:
        digest = hub.add_big_blob(size, seed=size)
        hub.add_image(repository, "1", [digest])
    truth = folder / f"truth-{size}"
    truth.write_bytes(hubs[0].blob(digest))
    return Cargo(repository, digest, size, truth, hubs)
