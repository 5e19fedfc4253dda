"""`GET /token`: a client that has logged in gets a token for some repositories (distribution)."""

import json
from datetime import UTC, datetime

from aiohttp import web

from registry.access.control import AccessControl
from registry.access.credentials import parse_authorization
from registry.access.scopes import parse_scopes
from registry.api.middleware import Notes
from registry.errors import CredentialsWrong
from registry.mirror.routing import RepositoryRequest, UpstreamTable
from registry.oci import media_types


async def answer_token(
    request: web.BaseRequest, notes: Notes, control: AccessControl, table: UpstreamTable
) -> web.Response:
    """Answer with a signed token; without credentials, one for nobody.

    It says who asks, and for which repositories. What may be pulled, the rules decide when it is
    used.

    Raises:
        CredentialsWrong: the name or password is wrong.
        TooManyLogins: too many passwords are to be checked.
    """
    await control.wait_for_token(notes.client)
    credentials = parse_authorization(request.headers.getall("Authorization", ()))
    surroundings = notes.find_surroundings(request)
    principal = await control.identify(credentials, "", surroundings)
    if principal.repositories is not None:  # a token of `/token` does not give another one
        raise CredentialsWrong
    notes.user = principal.name
    host = notes.host.partition(":")[0]
    scopes = parse_scopes(request.query.getall("scope", ()))
    routes = (table.route(RepositoryRequest(each.repository, host=host)) for each in scopes)
    repositories = {str(each.repository) for each in routes if each.repository is not None}
    token, seconds = control.sign(principal, repositories)
    document = {"token": token, "access_token": token, "expires_in": int(seconds)}
    document["issued_at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {"Content-Type": media_types.JSON, "Cache-Control": "no-store"}
    return web.Response(body=json.dumps(document).encode(), headers=headers)
