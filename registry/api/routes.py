"""From a request to its handler: the pull API as one function.

It is served without aiohttp's `Application`, router and signals: paths are read by `parse_path`
anyway, and every layer that is not there is time for each of a crowd's manifests (record 0012).
"""

from aiohttp import web

from registry.api import errors
from registry.api.blobs import answer_blob
from registry.api.manifests import answer_manifest
from registry.api.middleware import Handler, observation
from registry.api.paths import PathKind, RequestPath, is_upload, parse_path
from registry.api.tags_and_referrers import answer_catalog, answer_referrers, answer_tags
from registry.mirror.mirror import Mirror
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.names import parse_reference


def build_api(mirror: Mirror) -> Handler:
    """Make the function that answers every request of the pull API; it opens nothing."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await dispatch(request, mirror)

    return answer


async def dispatch(request: web.BaseRequest, mirror: Mirror) -> web.StreamResponse:
    """Answer one request of the pull API.

    Raises:
        EntrepotError: rendered by the observer.
    """
    notes = observation(request)
    namespace = request.query.get("ns", "") if notes.has_query else ""
    if mirror.table.find(namespace):
        notes.namespace = namespace
    target = parse_path(notes.path, namespace, _read_host(request))
    if request.method not in ("GET", "HEAD") or is_upload(notes.path):
        return errors.refuse_write()
    if target is None:
        return errors.refuse_address()
    notes.kind = target.kind.value
    if target.repository.prefix:
        mirror.table.require(target.repository.prefix)  # a wrong mirror URL shows at the ping
    match target.kind:
        case PathKind.BASE:
            # From memory, and never a challenge: dockerd would send its user's Hub password.
            return web.Response(body=b"{}", headers={"Content-Type": media_types.JSON})
        case PathKind.CATALOG:
            return await answer_catalog(request, mirror.lists)
        case _:
            return await _answer_content(request, mirror, target)


def _read_host(request: web.BaseRequest) -> str:
    # Not `request.host`: without a Host header that would look up this machine's name in the DNS.
    return request.headers.get("Host", "")


async def _answer_content(
    request: web.BaseRequest, mirror: Mirror, target: RequestPath
) -> web.StreamResponse:
    repository = mirror.table.resolve(target.repository)
    match target.kind:
        case PathKind.MANIFEST:
            reference = parse_reference(target.reference)
            return await answer_manifest(request, mirror.manifests, repository, reference)
        case PathKind.BLOB:
            digest = Digest.parse(target.reference)
            return await answer_blob(request, mirror.blobs, repository, digest)
        case PathKind.REFERRERS:
            digest = Digest.parse(target.reference)
            return await answer_referrers(request, mirror.lists, repository, digest)
        case _:
            return await answer_tags(request, mirror.lists, repository)
