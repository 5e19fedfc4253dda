"""The short steps of measuring a candidate: name, connection, TLS, `/v2/`, token and tags.

Everything is sent as the mirror sends it, so that the result is what the mirror will get.
"""

import asyncio
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx

from registry.errors import (
    ManifestUnknown,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
)
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor, Manifest
from registry.oci.platforms import matches, own_platform
from registry.settings.endpoints import split_endpoint
from registry.settings.known_images import AskedImage
from registry.upstream.addresses import Reach, read_address
from registry.upstream.candidate import Candidate, Layer, Step
from registry.upstream.client import discard, send, write_request
from registry.upstream.credentials import Credentials
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import HeadRefused
from registry.upstream.manifest_questions import verify_manifest
from registry.upstream.request import Request, check_content_type, read_body, read_digest
from registry.upstream.statuses import Resource
from registry.upstream.tokens import TokenCache, TokenKey
from registry.upstream.www_authenticate import parse_challenges

_USUAL_PLATFORM = "linux/amd64"


class TimedTokens(TokenCache):
    """Tokens of one candidate; `seconds` is how long they took, `failure` why there is none."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], float]) -> None:
        super().__init__(client, clock)
        self.seconds: float | None = None
        self.failure: UpstreamError | None = None

    async def get(
        self, key: TokenKey, credentials: Credentials | None, reach: Reach | None = None
    ) -> str:
        """Return the `Authorization` value for `key`; see `TokenCache.get`."""
        began = self.clock()
        try:
            header = await super().get(key, credentials, reach)
        except UpstreamError as error:
            self.failure = error
            raise
        self.seconds = (self.seconds or 0.0) + self.clock() - began
        return header


class CandidateSteps:
    """Measures the short steps of one candidate, whose requests go through `endpoint`."""

    def __init__(
        self,
        candidate: Candidate,
        endpoint: Endpoint,
        client: httpx.AsyncClient,
        tokens: TimedTokens,
        *,
        has_proxy: bool = False,
    ) -> None:
        self.candidate = candidate
        self._endpoint = endpoint
        self._client = client
        self._tokens = tokens
        self._clock = tokens.clock
        self._has_proxy = has_proxy

    async def run(self, images: list[AskedImage]) -> None:
        """Take one step after the other, until one fails; the candidate gets the results."""
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            self._resolve,
            self._ping,
            partial(self._ask_tags, images),
        )
        for step in steps:
            if self.candidate.failed is None:
                await step()

    async def run_briefly(self, image: AskedImage | None) -> None:
        """Take only the steps that count against no pull limit; an image is asked for by HEAD.

        An answer that there is no such image is an answer. Without `image`, no token is asked for.
        """
        await self._resolve()
        if self.candidate.failed is None:
            await self._ping()
        if image is not None and self.candidate.failed is None:
            await self._ask_token(image)

    async def _ask_token(self, image: AskedImage) -> None:
        candidate = self.candidate
        candidate.running = Step.TOKEN
        try:
            async with self._endpoint.request(_write(image, "HEAD")):
                pass
        except (Unknown, HeadRefused):
            pass
        except UpstreamDenied as error:
            candidate.refused[image.name] = explain(candidate, error)
        except UpstreamError as error:
            candidate.fail(Step.TOKEN, explain(candidate, error))
            return
        if self._tokens.seconds is not None:
            candidate.seconds[Step.TOKEN] = self._tokens.seconds

    async def _resolve(self) -> None:
        parts = urlsplit(self.candidate.url)
        if self._has_proxy or read_address(parts.hostname or "") is not None:
            return  # most proxies resolve names themselves
        self.candidate.running = Step.NAME
        began, loop = self._clock(), asyncio.get_running_loop()
        try:
            await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            self.candidate.fail(Step.NAME, f"the name has no address ({why or error})")
            return
        self.candidate.seconds[Step.NAME] = self._clock() - began

    async def _ping(self) -> None:
        """Send `GET /v2/` on a new connection (distribution-spec, "Determining Support")."""
        candidate = self.candidate
        candidate.running = Step.CONNECTION
        base, _ = split_endpoint(candidate.url)
        request = write_request(self._client, "GET", f"{base}/v2/", {})
        stages = _Stages(candidate, self._clock)
        request.extensions["trace"] = stages.trace
        began = self._clock()
        try:
            response = await send(self._client, request, candidate.origin)
        except UpstreamError as error:
            candidate.fail(candidate.running or Step.API, explain(candidate, error))
            return
        candidate.seconds[Step.API] = self._clock() - (stages.ended or began)
        candidate.date, candidate.answered = response.headers.get("date", ""), time.time()
        await discard(response)
        note = describe_ping(response.status_code, response.headers)
        if note:
            candidate.note(note)

    async def _ask_tags(self, images: list[AskedImage]) -> None:
        candidate = self.candidate
        candidate.running = Step.TAGS
        times = []
        for image in images:
            began, tokens = self._clock(), self._tokens.seconds or 0.0
            try:
                candidate.digests[image.name] = await self.head(image)
            except (Unknown, UpstreamDenied) as error:
                candidate.refused[image.name] = explain(candidate, error)
            except UpstreamError as error:
                is_token = error.why == getattr(self._tokens.failure, "why", None)
                candidate.fail(Step.TOKEN if is_token else Step.TAGS, explain(candidate, error))
                return
            times.append(self._clock() - began - ((self._tokens.seconds or 0.0) - tokens))
        if self._tokens.seconds is not None:
            candidate.seconds[Step.TOKEN] = self._tokens.seconds
        if not candidate.digests:
            reasons = ", ".join(dict.fromkeys(candidate.refused.values()))
            candidate.fail(Step.TAGS, f"{reasons} ({', '.join(candidate.refused)})")
            return
        candidate.seconds[Step.TAGS] = statistics.median(times)

    async def head(self, image: AskedImage) -> Digest:
        """Return the digest of an image by HEAD; where HEAD is of no use, by GET.

        Raises:
            Unknown, UpstreamError: see `Endpoint.request`.
        """
        with suppress(HeadRefused):
            async with self._endpoint.request(_write(image, "HEAD")) as answer:
                check_content_type(answer)
                digest = read_digest(answer)
                if digest is not None:
                    return digest
        return (await self.get(image)).digest

    async def get(self, image: AskedImage) -> Manifest:
        """Return a verified manifest. Raises as `head`; ManifestInvalid as `parse_manifest`."""
        async with self._endpoint.request(_write(image, "GET")) as answer:
            check_content_type(answer)
            raw = await read_body(answer, MAX_MANIFEST)
            return verify_manifest(answer, raw, image.reference)

    async def find_layer(self, image: AskedImage) -> Layer:
        """Return the largest layer of an image, which is named by digest; for this machine.

        Raises:
            Unknown, UpstreamError, ManifestInvalid: as for `get`; also if it has no layer.
        """
        manifest = await self.get(image)
        if manifest.children:
            child = _choose_child(manifest)
            manifest = await self.get(replace(image, reference=child.digest))
        layers = [each for each in manifest.blobs if not each.is_foreign and each.size > 0]
        if not layers:
            raise UpstreamFaulty(self.candidate.origin, f"{image.name} has no layer")
        largest = max(layers, key=lambda each: each.size)
        return Layer(image.name, image.repository, largest.digest, largest.size)


class _Stages:
    """Notes when the stages of a new connection end; `ended` is when the last one did."""

    def __init__(self, candidate: Candidate, clock: Callable[[], float]) -> None:
        self._candidate = candidate
        self._clock = clock
        self._began = 0.0
        self.ended: float | None = None

    async def trace(self, event: str, _: Any) -> None:
        """Note an event of httpx (httpx, "Extensions")."""
        stage, _, state = event.rpartition(".")
        if stage.endswith(".send_request_headers") and state == "started":
            self._candidate.running = Step.API
        step = {"connect_tcp": Step.CONNECTION, "start_tls": Step.TLS}.get(stage.split(".")[-1])
        if step is None:
            return
        if state == "started":
            self._candidate.running, self._began = step, self._clock()
        elif state == "complete":
            self.ended = self._clock()
            self._candidate.seconds[step] = self.ended - self._began


def describe_ping(status: int, headers: httpx.Headers) -> str:
    """Return what is unusual about an answer to `/v2/`; empty if it is as it should be."""
    if status == 200:
        kind = media_types.strip_parameters(headers.get("content-type", ""))
        return "/v2/ answers with a web page" if kind == "text/html" else ""
    if status == 401:
        has_challenge = parse_challenges(headers.get_list("www-authenticate"))
        return "" if has_challenge else "/v2/ asks for a login, and does not say which"
    return f"/v2/ answers {status}"


def explain(candidate: Candidate, error: Unknown | UpstreamError) -> str:
    """Return the reason of an error, with the host if it is another one than the candidate."""
    if isinstance(error, Unknown):
        return error.answer
    is_other = error.endpoint != candidate.origin
    return f"{error.endpoint} {error.why}" if is_other else error.why


@contextmanager
def limited_by(candidate: Candidate, seconds: float) -> Iterator[None]:
    """Note that a step was not done in time, if the block raises TimeoutError."""
    try:
        yield
    except TimeoutError:
        candidate.fail(candidate.running or Step.CONNECTION, f"not done within {seconds:.0f} s")


def _write(image: AskedImage, method: str) -> Request:
    return Request(
        method=method,
        path=f"{image.repository}/manifests/{image.reference}",
        repository=image.repository,
        missing=partial(ManifestUnknown, image.repository, str(image.reference)),
        resource=Resource.MANIFEST,
        headers={"Accept": media_types.ACCEPT_MANIFESTS},
        counts=method == "GET",
    )


def _choose_child(index: Manifest) -> Descriptor:
    """Return the image of an index for this machine, else the usual one, else any."""
    for wanted in (own_platform(), _USUAL_PLATFORM):
        for child in index.children:
            if matches(wanted, index.platforms.get(str(child.digest), "")):
                return child
    return index.children[0]
