"""The registry host: /v2/, manifests, blobs, tags and referrers."""

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from aiohttp import web

from tests.fakes.upstream.backend import Source
from tests.fakes.upstream.conduct import Conduct
from tests.fakes.upstream.content import Held
from tests.fakes.upstream.exchange import Exchange, Refusal
from tests.fakes.upstream.holdings import Manifest
from tests.fakes.upstream.journal import Kind
from tests.fakes.upstream.lists import JSON, serve_referrers, serve_tags
from tests.fakes.upstream.signing import Signer
from tests.fakes.upstream.tokens import Tokens, may_read, parse_basic, write_challenge

PATH = re.compile(r"/v2/(?P<name>.+)/(?P<what>manifests|blobs|referrers|tags)/(?P<ref>[^/]+)")
DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")
KINDS: dict[str, Kind] = {
    "manifests": "manifest",
    "blobs": "blob",
    "referrers": "referrers",
    "tags": "tags",
}


def sort_path(path: str, conduct: Conduct) -> tuple[Kind, str, str]:
    """Return kind, repository and reference of a path of the registry."""
    if not path.startswith(conduct.base_path):
        return "other", "", ""
    decoded = unquote(path.removeprefix(conduct.base_path))
    if decoded in {"/v2/", "/v2"}:
        return "ping", "", ""
    match = PATH.fullmatch(decoded)
    if match is None or (match["what"] == "tags" and match["ref"] != "list"):
        return "other", "", ""
    if not match["name"].startswith(conduct.project):
        return "other", "", ""
    return KINDS[match["what"]], match["name"].removeprefix(conduct.project), match["ref"]


class Registry:
    """Answers like Docker Hub, unless the switches say otherwise."""

    def __init__(
        self,
        source: Source,
        tokens: Tokens,
        signer: Signer,
        *,
        url: Callable[[], str],
        realm: Callable[[], str],
        cdn_url: Callable[[], str],
    ) -> None:
        self._source = source
        self._tokens = tokens
        self._signer = signer
        self._url = url
        self._realm = realm
        self._cdn_url = cdn_url

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer any request to this host."""
        kind, repository, reference = sort_path(exchange.entry.path, exchange.conduct)
        if exchange.entry.method not in {"GET", "HEAD"}:
            raise Refusal(405, "UNSUPPORTED", "this registry only reads")
        self._authorize(exchange, kind, repository)
        self._refuse(exchange, kind, reference)
        match kind:
            case "ping":
                return await exchange.send_content(Held(b"{}"), {"Content-Type": JSON})
            case "manifest":
                return await self._serve_manifest(exchange, repository, reference)
            case "blob":
                return await self._serve_blob(exchange, repository, reference)
            case "tags":
                return await self._serve_tags(exchange, repository)
            case "referrers":
                return await self._serve_referrers(exchange, repository, reference)
        raise Refusal(404, "NAME_UNKNOWN", "no such route")

    def _authorize(self, exchange: Exchange, kind: Kind, repository: str) -> None:
        conduct = exchange.conduct
        try:
            self._check_login(exchange, repository)
        except Refusal:
            if conduct.challenge_at_ping_only and kind != "ping":
                message = "authentication required"
                raise Refusal(conduct.anonymous_status, "DENIED", message) from None
            raise

    def _check_login(self, exchange: Exchange, repository: str) -> None:
        conduct = exchange.conduct
        header = exchange.request.headers.get("Authorization")
        if conduct.auth == "basic" and not may_read(conduct, repository, parse_basic(header)):
            challenge = write_challenge("Basic", {"realm": conduct.service})
            raise _unauthorized(challenge)
        if conduct.auth != "bearer":
            return
        scheme, _, name = (header or "").partition(" ")
        token = self._tokens.find(name) if scheme.lower() == "bearer" else None
        if token is None:
            raise self._challenge(conduct, repository, "invalid_token" if header else None)
        if repository and _name_in_scope(conduct, repository) not in token.repositories:
            raise self._challenge(conduct, repository, "insufficient_scope")

    def _challenge(self, conduct: Conduct, repository: str, error: str | None) -> Refusal:
        scope = f"repository:{_name_in_scope(conduct, repository)}:pull"
        fields = {
            "realm": conduct.realm_override or self._realm(),
            "service": conduct.service,
            "scope": scope if repository and conduct.names_scope else None,
            "error": error,
        }
        return _unauthorized(write_challenge("Bearer", fields))

    def _refuse(self, exchange: Exchange, kind: Kind, reference: str) -> None:
        conduct = exchange.conduct
        is_head = exchange.entry.method == "HEAD"
        status: int | None = None
        if kind == "manifest":
            by_digest = conduct.by_digest_status if ":" in reference else None
            status = (conduct.head_status if is_head else None) or by_digest
        elif kind == "blob" and is_head:
            status = conduct.head_blob_status
        if status is not None:
            raise Refusal(status, "UNSUPPORTED", "this request is refused")

    async def _missing(self, exchange: Exchange, repository: str, refusal: Refusal) -> Refusal:
        """Return the refusal for missing content; it differs if the whole repository is unknown."""
        if await self._source.list_tags(repository) is not None:
            return refusal
        if exchange.conduct.hub_style_unknown and exchange.conduct.auth == "bearer":
            return self._challenge(exchange.conduct, repository, "insufficient_scope")
        return Refusal(404, "NAME_UNKNOWN", f"repository {repository} not known to registry")

    async def _serve_manifest(
        self, exchange: Exchange, repository: str, reference: str
    ) -> web.StreamResponse:
        conduct = exchange.conduct
        exhausted = conduct.pulls_left is not None and conduct.pulls_left <= 0
        if exhausted and exchange.entry.method == "GET":
            raise self._throttle(conduct, exchange.request.remote)
        as_digest = reference.replace("-", ":", 1)
        if conduct.takes_tags_for_digests and DIGEST.fullmatch(as_digest):
            reference = as_digest
        manifest = await self._source.find_manifest(repository, reference)
        if manifest is None:
            unknown = Refusal(404, "MANIFEST_UNKNOWN", f"manifest {reference} unknown")
            raise await self._missing(exchange, repository, unknown)
        exchange.entry.digest = manifest.digest
        if conduct.pulls_left is not None and exchange.entry.method == "GET":
            conduct.pulls_left -= 1
        headers = _head_manifest(manifest) | _head_limit(conduct, exchange.request.remote)
        if exchange.request.headers.get("If-None-Match") == headers["ETag"]:
            return await exchange.reply(304, headers)
        return await exchange.send_content(Held(manifest.raw), headers)

    def _throttle(self, conduct: Conduct, remote: str | None) -> Refusal:
        headers = _head_limit(conduct, remote)
        if conduct.pulls_retry_after is not None:
            headers["Retry-After"] = str(conduct.pulls_retry_after)
        message = "You have reached your unauthenticated pull rate limit."
        return Refusal(429, "TOOMANYREQUESTS", message, headers)

    async def _serve_blob(
        self, exchange: Exchange, repository: str, digest: str
    ) -> web.StreamResponse:
        if DIGEST.fullmatch(digest) is None:
            raise Refusal(400, "DIGEST_INVALID", "provided digest is not a digest")
        if not await self._source.has_blob(repository, digest):
            unknown = Refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
            raise await self._missing(exchange, repository, unknown)
        if exchange.conduct.redirect_blobs:
            path = f"/registry-v2/{quote(repository)}/blobs/{digest}/data"
            signed = self._signer.sign(path, exchange.conduct.url_ttl)
            host = exchange.conduct.blob_location or self._cdn_url()
            return await exchange.redirect(host + signed)
        content = await self._source.find_blob(repository, digest)
        assert content is not None
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "ETag": f'"{digest}"',
            "Accept-Ranges": "bytes" if exchange.conduct.ranges_supported else "none",
        }
        return await exchange.send_content(content, headers, rangeable=True)

    async def _serve_tags(self, exchange: Exchange, repository: str) -> web.StreamResponse:
        tags = await self._source.list_tags(repository)
        if tags is None:
            absent = Refusal(404, "NAME_UNKNOWN", f"repository {repository} not known to registry")
            raise await self._missing(exchange, repository, absent)
        return await serve_tags(exchange, repository, tags, self._url())

    async def _serve_referrers(
        self, exchange: Exchange, repository: str, digest: str
    ) -> web.StreamResponse:
        if DIGEST.fullmatch(digest) is None:
            raise Refusal(400, "DIGEST_INVALID", "provided digest is not a digest")
        found = self._source.holdings.list_referrers(repository, digest)
        return await serve_referrers(exchange, found, self._cdn_url())


def _name_in_scope(conduct: Conduct, repository: str) -> str:
    return f"{conduct.scope_prefix}{conduct.project}{repository}"


def _unauthorized(challenge: str) -> Refusal:
    headers = {"WWW-Authenticate": challenge}
    return Refusal(401, "UNAUTHORIZED", "authentication required", headers)


def _head_manifest(manifest: Manifest) -> dict[str, str]:
    return {
        "Content-Type": manifest.media_type,
        "Docker-Content-Digest": manifest.digest,
        "Docker-Distribution-Api-Version": "registry/2.0",
        "ETag": f'"{manifest.digest}"',
    }


def _head_limit(conduct: Conduct, remote: str | None) -> dict[str, str]:
    if conduct.pulls_left is None:
        return {}
    return {
        "ratelimit-limit": f"{conduct.pulls_limit};w={conduct.pulls_window}",
        "ratelimit-remaining": f"{max(0, conduct.pulls_left)};w={conduct.pulls_window}",
        "docker-ratelimit-source": remote or "unknown",
    }
