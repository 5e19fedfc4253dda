"""What the fuzzer begins with: small, right examples of everything."""

import asyncio
import tempfile
from pathlib import Path

from tests.harness.bundles import write_bundle, write_volumes
from tests.harness.filled_folder import FilledFolder, open_filled

IMAGE, OTHER = "docker.io/library/a:1", "ghcr.io/b/c:2"
DIGEST = "sha256:" + "0" * 64
PLAIN = f"# ours\nnginx:1.27\nghcr.io/a/b@{DIGEST}\n"
COMPOSE = """
services:
  web:
    image: ${REPO:-a}/b:${TAG?no tag}
    build: {dockerfile: D}
"""
KUBERNETES = """
kind: Pod
spec:
  initContainers: [{image: a}]
  containers: &c
  - {name: x, image: b:1}
---
kind: List
items: [{kind: CronJob, spec: *c}]
"""
DOCKERFILE = """
ARG V=1
FROM --platform=$BUILDPLATFORM golang:${V} AS b
COPY --from=b:2 / /
FROM b
"""
LISTS = [text.encode() for text in (PLAIN, COMPOSE, KUBERNETES, DOCKERFILE)]


def make_archives() -> list[bytes]:
    """Return a bundle of two images, a delta, and a volume."""
    return asyncio.run(_make_archives())


async def _make_archives() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        async with open_filled(Path(name) / "filled") as filled:
            await _fill(filled)
            whole = await write_bundle(filled, [IMAGE, OTHER])
            small = await write_bundle(filled, [OTHER])
            volumes = await write_volumes(filled, [IMAGE], Path(name), 96 * 1024)
            return [whole, small, *(path.read_bytes() for path in volumes[:1])]


def make_manifests() -> list[bytes]:
    """Return an index and the manifest of an image."""
    return asyncio.run(_make_manifests())


async def _make_manifests() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        async with open_filled(Path(name) / "filled") as filled:
            return await _fill(filled)


async def _fill(filled: FilledFolder) -> list[bytes]:
    amd = await filled.put_image("docker.io/library/a", [b"shared", bytes(2000)])
    arm = await filled.put_image("docker.io/library/a", [b"shared"], platform="linux/arm64")
    index = await filled.put_index(IMAGE, {"linux/amd64": amd, "linux/arm64": arm})
    other = await filled.put_image(OTHER, [b"shared", b"own"])
    return [index.raw, amd.raw, other.raw]
