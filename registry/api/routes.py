"""From a request to its handler: the pull API as one aiohttp application."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from registry import __version__
from registry.api import errors
from registry.api.blobs import answer_blob
from registry.api.lists import answer_catalog, answer_referrers, answer_tags
from registry.api.manifests import answer_manifest
from registry.api.observe import build_observer, observation
from registry.api.target import Kind, Target, is_upload, parse_target
from registry.metrics import Metrics
from registry.mirror.blobs import Blobs
from registry.mirror.lists import Lists
from registry.mirror.manifests import Manifests
from registry.mirror.routing import UpstreamTable
from registry.oci import media
from registry.oci.digest import Digest
from registry.oci.names import parse_reference


@dataclass(frozen=True, slots=True)
class Mirror:
    """What the API answers from."""

    table: UpstreamTable
    manifests: Manifests
    blobs: Blobs
    lists: Lists


def build_api(mirror: Mirror, metrics: Metrics) -> web.Application:
    """Make the application; it opens nothing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await dispatch(request, mirror)

    app = web.Application(middlewares=[build_observer(metrics)])
    app.router.add_route("*", "/{path:.*}", answer)
    app.on_response_prepare.append(_build_signer(mirror.table))
    return app


def _build_signer(
    table: UpstreamTable,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Make the hook that adds the headers which every answer has."""

    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        response.headers["Server"] = f"Entrepot/{__version__}"
        namespace = request.query.get("ns", "")
        if table.find(namespace):
            # distribution-spec (main), "Registry Proxying": the answer is scoped by it.
            response.headers["OCI-Namespace"] = namespace

    return sign


async def dispatch(request: web.Request, mirror: Mirror) -> web.StreamResponse:
    """Answer one request of the pull API.

    Raises:
        EntrepotError: rendered by the observer.
    """
    raw_path = request.raw_path.partition("?")[0]
    target = parse_target(raw_path, request.query.get("ns", ""), _read_host(request))
    if request.method not in ("GET", "HEAD") or is_upload(raw_path):
        return errors.refuse_write()
    if target is None:
        return errors.refuse_address()
    observation(request).kind = target.kind.value
    if target.repository.prefix:
        mirror.table.require(target.repository.prefix)  # a wrong mirror URL shows at the ping
    match target.kind:
        case Kind.BASE:
            # From memory, and never a challenge: dockerd would send its user's Hub password.
            return web.Response(body=b"{}", headers={"Content-Type": media.JSON})
        case Kind.CATALOG:
            return await answer_catalog(request, mirror.lists)
        case _:
            return await _answer_content(request, mirror, target)


def _read_host(request: web.Request) -> str:
    # Not `request.host`: without a Host header that would look up this machine's name in the DNS.
    return request.headers.get("Host", "")


async def _answer_content(
    request: web.Request, mirror: Mirror, target: Target
) -> web.StreamResponse:
    repository = mirror.table.resolve(target.repository)
    match target.kind:
        case Kind.MANIFEST:
            reference = parse_reference(target.reference)
            return await answer_manifest(request, mirror.manifests, repository, reference)
        case Kind.BLOB:
            digest = Digest.parse(target.reference)
            return await answer_blob(request, mirror.blobs, repository, digest)
        case Kind.REFERRERS:
            digest = Digest.parse(target.reference)
            return await answer_referrers(request, mirror.lists, repository, digest)
        case _:
            return await answer_tags(request, mirror.lists, repository)
