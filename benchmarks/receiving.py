"""What it costs to receive, hash and write one large blob: CPU seconds of this process.

    python -m benchmarks.receiving [MIB] [ROUNDS]

A child process sends the blob over the loopback, plain and behind TLS. "event loop" is the body as
the event loop reads it, "thread" as a thread receives it, and "socket alone" is the least that is
possible: a loop of `recv_into`, hash and write.
"""

import asyncio
import hashlib
import multiprocessing
import random
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path

from benchmarks.content import Blob, make_blob
from registry.oci.digest import Digest
from registry.settings.upstreams import UpstreamSettings
from registry.store.ingests import Ingests
from registry.store.partial import PartialWriter
from registry.tasks import in_thread
from registry.upstream.auth import Login
from registry.upstream.client import open_client
from registry.upstream.contract import BlobDownload, Chunk
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.registry import RegistrySource
from registry.upstream.tokens import TokenCache
from tests.fakes.certificates import make_authority

MIB = 1 << 20
PIECE = 512 * 1024
SECONDS = 0.12  # that a thread receives without a break
Way = Callable[[BlobDownload, PartialWriter], Awaitable[None]]


def serve(listener: socket.socket, content: Path, trust: ssl.SSLContext | None) -> None:
    """Answer each connection with the whole file; this never ends."""
    with content.open("rb") as file:
        while True:
            connection, _ = listener.accept()
            stream = trust.wrap_socket(connection, server_side=True) if trust else connection
            while b"\r\n\r\n" not in stream.recv(65536):
                pass
            size = content.stat().st_size
            head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
            stream.sendall(head.encode())
            file.seek(0)
            stream.sendfile(file)
            stream.close()


async def over_the_event_loop(download: BlobDownload, writer: PartialWriter) -> None:
    """Write the chunks in a thread, a MiB at a time."""
    waiting: list[bytes] = []
    async with aclosing(download.stream(0, None)) as chunks:
        async for chunk in chunks:
            waiting.append(chunk)
            if sum(map(len, waiting)) >= MIB:
                await in_thread(writer.append, waiting)
                waiting = []
    if waiting:
        await in_thread(writer.append, waiting)


async def in_a_thread(download: BlobDownload, writer: PartialWriter) -> None:
    """Let a thread receive and write."""
    chunks: AsyncGenerator[Chunk, None] = download.receive(0, None, in_thread=lambda: True)
    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, bytes):
                await in_thread(writer.append, [chunk])
            else:
                receive = partial(chunk.receive, seconds=SECONDS)
                await in_thread(writer.receive, receive)


def with_the_socket_alone(address: tuple[str, int], path: Path) -> None:
    """Receive, hash and write with nothing around it."""
    hasher, view = hashlib.sha256(), memoryview(bytearray(PIECE))
    with socket.create_connection(address) as stream, path.open("wb", buffering=0) as file:
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while count := stream.recv_into(view):
            hasher.update(view[:count])
            file.write(view[:count])


async def measure(url: str, root: Path, blob: Blob, folder: Path, way: Way) -> float:
    """Return the CPU seconds of one download."""
    settings = UpstreamSettings(endpoints=(url,), ca_file=str(root))
    async with open_client("docker.io", settings) as client:
        login = Login(url, None, TokenCache(client, time.monotonic))
        endpoint = Endpoint(url, client, login, time.monotonic, lambda _: None)
        chance = random.Random(1)  # noqa: S311 - not a secret
        pool = EndpointPool("docker.io", [endpoint], time.monotonic, chance)
        source = RegistrySource("docker.io", pool)
        digest = Digest.parse(blob.digest)
        writer = Ingests(folder).take(digest, None)
        if writer is None:
            raise RuntimeError("another process writes it")
        before = time.process_time()
        await way(source.open_blob("library/thing", digest, blob.size), writer)
        used = time.process_time() - before
        writer.verify()
        writer.abandon()
        writer.close()
        return used


def run(size: int, rounds: int, folder: Path) -> None:
    """Measure everything in turn, and print the medians."""
    blob, authority = make_blob(size, seed=1), make_authority(folder)
    addresses: dict[str, tuple[str, int]] = {}
    children = []
    for scheme, trust in (("http", None), ("https", authority.server_context())):
        listener = socket.create_server(("127.0.0.1", 0))
        addresses[scheme] = listener.getsockname()
        fork = multiprocessing.get_context("fork")
        children.append(fork.Process(target=serve, args=(listener, blob.path, trust), daemon=True))
        children[-1].start()
    used: dict[str, list[float]] = {}
    for _ in range(rounds):
        before = time.process_time()
        with_the_socket_alone(addresses["http"], folder / "out")
        used.setdefault("http, socket alone", []).append(time.process_time() - before)
        for scheme, (host, port) in addresses.items():
            for name, way in (("event loop", over_the_event_loop), ("thread", in_a_thread)):
                url = f"{scheme}://{host}:{port}"
                cpu = asyncio.run(measure(url, authority.root, blob, folder, way))
                used.setdefault(f"{scheme}, {name}", []).append(cpu)
    for child in children:
        child.terminate()
    for name, samples in sorted(used.items()):
        spread = f"{min(samples):.2f} to {max(samples):.2f}"
        line = f"{name}: {statistics.median(samples):.2f} s for {size // MIB} MiB ({spread})\n"
        sys.stdout.write(line)


def main(size: str = "512", rounds: str = "5") -> None:
    """Read the arguments, and measure in a scratch folder of the current file system."""
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        run(int(size) * MIB, int(rounds), Path(scratch))


if __name__ == "__main__":
    main(*sys.argv[1:])
