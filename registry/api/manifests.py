"""Manifests: `GET` and `HEAD /v2/<name>/manifests/<reference>`.

The stored bytes are the answer, whatever `Accept` says: converting or swapping in a child manifest
would change the digest, and a client that cannot read a type fails with a clearer message of its
own than any 404 of ours.
"""

from functools import partial

from aiohttp import web

from registry.api.headers import content_headers, is_unchanged, warning_headers
from registry.api.middleware import observation
from registry.mirror.cache_status import CacheStatus
from registry.mirror.manifests import Manifests
from registry.oci.names import Reference, Repository


async def answer_manifest(
    request: web.BaseRequest, manifests: Manifests, repository: Repository, reference: Reference
) -> web.Response:
    """Answer a manifest; a HEAD gets the same headers without the body."""
    served = await manifests.get(repository, reference, request.remote)
    manifest = served.manifest
    if served.origin is CacheStatus.HIT:
        observation(request).is_current = partial(
            manifests.is_fresh, repository, reference, manifest.digest
        )
    headers = content_headers(manifest.digest, manifest.media_type, served.origin)
    headers |= warning_headers(served.warning)
    if is_unchanged(request.headers.getall("If-None-Match", ()), manifest.digest):
        return web.Response(status=304, headers=headers)
    return web.Response(body=manifest.raw, headers=headers)
