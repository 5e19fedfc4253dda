"""The two other hosts of an upstream: the content host and the token service."""

import json
import re
import time
from urllib.parse import parse_qs, unquote

from aiohttp import web

from tests.fakes.upstream.backend import Source
from tests.fakes.upstream.content import Held
from tests.fakes.upstream.exchange import EXPIRED, Exchange, Refusal
from tests.fakes.upstream.lists import LOGIN_PAGE
from tests.fakes.upstream.signing import Signer
from tests.fakes.upstream.tokens import (
    Tokens,
    knows_login,
    may_read,
    parse_basic,
    parse_scopes,
    write_challenge,
)

DATA = re.compile(r"/registry-v2/(?P<name>.+)/blobs/(?P<digest>[^/]+)/data")
XML = {"Content-Type": "application/xml"}


def _explain(code: str, message: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )


class ContentHost:
    """Serves blobs to requests whose URL has a valid signature."""

    def __init__(self, source: Source, signer: Signer) -> None:
        self._source = source
        self._signer = signer

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer any request to this host."""
        if exchange.entry.path == LOGIN_PAGE:
            return await exchange.reply(200, {"Content-Type": "text/html"}, "<html>Sign in</html>")
        if "Authorization" in exchange.request.headers:
            message = "Only one auth mechanism allowed"
            return await exchange.reply(400, XML, _explain("InvalidArgument", message))
        match self._signer.check(exchange.target):
            case "wrong":
                message = "The signature does not match the request"
                return await exchange.reply(403, XML, _explain("SignatureDoesNotMatch", message))
            case "expired":
                return await exchange.reply(403, XML, EXPIRED)
        match = DATA.fullmatch(unquote(exchange.entry.path))
        content = await self._source.find_blob(match["name"], match["digest"]) if match else None
        if match is None or content is None:
            return await exchange.reply(404, XML, _explain("NoSuchKey", "Not found"))
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes" if exchange.conduct.ranges_supported else "none",
            "Cache-Control": "public, max-age=14400",
            "ETag": f'"{match["digest"][:-33:-1]}"',
            "Vary": "Accept-Encoding",
        }
        return await exchange.send_content(content, headers, rangeable=True)


class TokenService:
    """Gives tokens to anonymous clients, and to the users that a test has set."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer any request to this host: fields in the query, or in a posted form."""
        conduct = exchange.conduct
        if conduct.token_status is not None:
            raise Refusal(conduct.token_status, "DENIED", "this scope is not allowed")
        form = parse_qs(exchange.entry.query)
        login = parse_basic(exchange.request.headers.get("Authorization"))
        if exchange.entry.method == "POST":
            form = parse_qs((await exchange.request.read()).decode())
            if "username" in form:
                login = form["username"][0], form.get("password", [""])[0]
        refused = login is not None and not knows_login(conduct, login)
        if refused or (conduct.require_user is not None and login is None):
            challenge = write_challenge("Basic", {"realm": conduct.service})
            message = "incorrect username or password"
            raise Refusal(401, "UNAUTHORIZED", message, {"WWW-Authenticate": challenge})
        asked = parse_scopes(form.get("scope", []))
        prefix = f"{conduct.scope_prefix}{conduct.project}"
        granted = [name for name in asked if may_read(conduct, name.removeprefix(prefix), login)]
        token = self._tokens.issue(granted, conduct.token_ttl)
        document: dict[str, object] = {"token": token, "access_token": token}
        if conduct.announce_ttl:
            document["expires_in"] = int(conduct.token_ttl)
            document["issued_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = Held(json.dumps(document).encode())
        return await exchange.send_content(body, {"Content-Type": "application/json"})
