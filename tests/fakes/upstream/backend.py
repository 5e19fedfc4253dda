"""A real registry behind the fake, for content that is not in memory."""

import asyncio
import mmap
import tempfile
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tests.fakes.upstream.content import Content, Held
from tests.fakes.upstream.holdings import Holdings, Manifest
from tests.fakes.upstream.images import INDEX, MANIFEST

ACCEPT = ", ".join([*MANIFEST.values(), *INDEX.values()])


class Backend:
    """Reads from a registry without authentication, and keeps each blob that it has read."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._kept: dict[str, Content] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def find_manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return the manifest with its bytes unchanged."""
        url = self._at(f"/v2/{repository}/manifests/{reference}")
        async with self._session() as session, session.get(url) as response:
            if response.status != 200:
                return None
            raw = await response.read()
            headers = response.headers
            return Manifest(headers["Docker-Content-Digest"], raw, headers["Content-Type"])

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the blob is in this repository."""
        url = self._at(f"/v2/{repository}/blobs/{digest}")
        async with self._session() as session, session.head(url) as response:
            return response.status == 200

    async def find_blob(self, repository: str, digest: str) -> Content | None:
        """Return the blob, which is read completely before it is served the first time."""
        async with self._locks.setdefault(digest, asyncio.Lock()):
            if digest not in self._kept:
                fetched = await self._fetch(repository, digest)
                if fetched is None:
                    return None
                self._kept[digest] = fetched
            return self._kept[digest]

    async def list_tags(self, repository: str) -> list[str] | None:
        """Return the tags; None for an unknown repository."""
        url = self._at(f"/v2/{repository}/tags/list")
        async with self._session() as session, session.get(url) as response:
            if response.status != 200:
                return None
            return (await response.json())["tags"] or []

    async def _fetch(self, repository: str, digest: str) -> Content | None:
        url = self._at(f"/v2/{repository}/blobs/{digest}")
        async with self._session() as session, session.get(url) as response:
            if response.status != 200:
                return None
            with tempfile.TemporaryFile() as file:
                async for chunk in response.content.iter_any():
                    file.write(chunk)
                file.flush()
                if not file.tell():
                    return Held(b"")
                # A map instead of bytes, so that large layers live in the page cache.
                return Held(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))

    def _at(self, path: str) -> URL:
        return URL(self._url + path, encoded=True)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers={"Accept": ACCEPT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60),
        )


@dataclass
class Source:
    """Content from memory, or from the backend if it is not in memory."""

    holdings: Holdings
    backend: Backend | None = field(default=None)

    async def find_manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return the manifest of a tag or digest."""
        found = self.holdings.find_manifest(repository, reference)
        if found is None and self.backend is not None:
            return await self.backend.find_manifest(repository, reference)
        return found

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository has the blob; this does not read the blob."""
        if self.holdings.find_blob(repository, digest) is not None:
            return True
        return self.backend is not None and await self.backend.has_blob(repository, digest)

    async def find_blob(self, repository: str, digest: str) -> Content | None:
        """Return the blob, if it is served in this repository."""
        found = self.holdings.find_blob(repository, digest)
        if found is None and self.backend is not None:
            return await self.backend.find_blob(repository, digest)
        return found

    async def list_tags(self, repository: str) -> list[str] | None:
        """Return the tags in lexical order; None for an unknown repository."""
        held = self.holdings.list_tags(repository)
        if self.backend is None:
            return held
        behind = await self.backend.list_tags(repository)
        if held is None and behind is None:
            return None
        return sorted({*(held or ()), *(behind or ())})
