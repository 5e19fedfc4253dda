"""Manifests: `GET` and `HEAD /v2/<name>/manifests/<reference>`.

The answer is the stored bytes, whatever `Accept` says. A converted manifest, or a child manifest of
an index, would have another digest. If a client cannot read the type, its own error message is
clearer than a 404 from the mirror.
"""

from functools import partial

from aiohttp import web

from registry.api.headers import content_headers, names_digest, warning_headers
from registry.api.middleware import Notes
from registry.mirror.manifests import Manifests
from registry.oci.names import Reference, Repository


async def answer_manifest(
    request: web.BaseRequest,
    notes: Notes,
    manifests: Manifests,
    repository: Repository,
    reference: Reference,
) -> web.Response:
    """Answer a manifest; a HEAD gets the same headers without the body."""
    served = await manifests.get(repository, reference, notes.client)
    manifest = served.manifest
    if served.origin.is_stored and not served.warning:
        notes.is_current = partial(manifests.is_fresh, repository, reference, manifest.digest)
    headers = content_headers(manifest.digest, manifest.media_type, served.origin)
    if served.warning:
        headers |= warning_headers(served.warning)
    conditions = request.headers.getall("If-None-Match", ())
    if conditions and names_digest(conditions, manifest.digest):
        return web.Response(status=304, headers=headers)
    return web.Response(body=manifest.raw, headers=headers)
