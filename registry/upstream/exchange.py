"""One request to an endpoint and its answer: login, `/v2/` and redirects."""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import httpx

from registry.errors import NameUnknown, UpstreamDenied, UpstreamFaulty, UpstreamUnreachable
from registry.upstream.addresses import Reach
from registry.upstream.auth import Authorization, Login
from registry.upstream.client import discard, send, write_request
from registry.upstream.failures import AddressForbidden, RedirectBroken
from registry.upstream.httpx_transport import PEER, WAITED
from registry.upstream.learned import Facts
from registry.upstream.redirects import MAX_REDIRECTS, Choices, RedirectRules, follow, origin_of
from registry.upstream.request import Answer, Request, describe_refusal
from registry.upstream.statuses import LOOP_DETECTED, Resource
from registry.upstream.transport import LOCATION
from registry.upstream.www_authenticate import Challenge, parse_challenges

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PINGED = 600.0  # seconds until `/v2/` is asked again how to log in


class Exchange:
    """Sends requests to the endpoint at `url`, whose repositories have names below `prefix`.

    `connected_at` is when it last used a connection (seconds of the event loop's clock).
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        client: httpx.AsyncClient,
        login: Login,
        *,
        clock: Callable[[], float],
        rules: RedirectRules,
    ) -> None:
        self._base = f"{url}/v2/"
        self._prefix = prefix
        self._origin = origin_of(url)
        self._client = client
        self._login = login
        self._rules = rules
        self.connected_at = -math.inf
        self._peer = ""  # the address that last answered for the endpoint
        self._pinged = Facts[None, list[Challenge]](clock, PINGED)

    async def send(self, request: Request, connect: float) -> Answer:
        """Log in, follow redirects, and return the answer, whatever its status is.

        Raises:
            UpstreamDenied: the endpoint asks for a login that the mirror does not have.
            UpstreamFaulty: it redirects to where the mirror must not go.
            UpstreamError: as for `Login.answer`, and if there is no answer.
        """
        # The URL of an earlier redirect is on another host, which must not get the login.
        is_own = request.start_at is None
        login = await self._login.prepare(self._name(request)) if is_own else Authorization()
        attempt = _Attempt(request, login, connect)
        answer = await self._follow_redirects(attempt)
        if is_own and answer.origin == self._origin and self._asks_for_login(answer, login):
            return await self._log_in(attempt, answer)
        if login.failure is not None and not answer.response.is_success:
            await discard(answer.response)
            raise login.failure  # without a login, the answer says nothing
        return answer

    def _name(self, request: Request) -> str:
        return f"{self._prefix}{request.repository}"

    def _asks_for_login(self, answer: Answer, login: Authorization) -> bool:
        """Whether a login may change the answer.

        Some registries ask for a login only at `/v2/`, and answer 403 or 404 to anonymous requests.
        """
        status = answer.response.status_code
        is_anonymous = login.header is None and not self._login.has_way
        may_help = is_anonymous and self._pinged.find(None) != []  # empty: it asks for no login
        return status == 401 or (status in (403, 404) and may_help)

    async def _log_in(self, attempt: "_Attempt", answer: Answer) -> Answer:
        """Repeat a request after a login; return the given answer if there is no other login."""
        try:
            login = await self._find_login(attempt, answer)
        except BaseException:
            self._pinged.forget(None)  # without a login, the next 404 says nothing either
            await discard(answer.response)
            raise
        if login is None:
            if attempt.login.failure is not None:
                await discard(answer.response)
                raise attempt.login.failure
            return answer
        await discard(answer.response)
        repeated = await self._follow_redirects(replace(attempt, login=login))
        if repeated.response.status_code != 401 and repeated.response.status_code < 500:
            self._login.learn(login, self._name(attempt.request))
        return repeated

    async def _find_login(self, attempt: "_Attempt", answer: Answer) -> Authorization | None:
        """Return the login with which to repeat a request.

        None if there is none, and the answer was not a 401.
        """
        given = parse_challenges(answer.response.headers.get_list("www-authenticate"))
        challenges = given or await self._ping(attempt)
        login = await self._login.answer(
            challenges,
            self._name(attempt.request),
            attempt.login,
            has_scope=bool(given),
            peer=answer.peer,
        )
        if login is None and answer.response.status_code == 401:
            # What `/v2/` answered is forgotten: it may have been a captive portal.
            if attempt.login.header is not None:
                why = describe_refusal(401, self._login.identity)
            else:
                why = self._login.describe_missing(challenges)
            raise UpstreamDenied(self._origin, why)
        return login

    async def _ping(self, attempt: "_Attempt") -> list[Challenge]:
        """Return how `/v2/` asks for a login (distribution-spec, "Determining Support")."""
        known = self._pinged.find(None)
        if known is not None:
            return known
        answer = await self._send_ping(attempt.connect)
        is_refused = answer.response.status_code == 401
        headers = answer.response.headers.get_list("www-authenticate") if is_refused else []
        challenges = parse_challenges(headers)
        if answer.response.status_code < 500:
            self._pinged.learn(None, challenges)
        return challenges

    async def _send_ping(self, connect: float) -> Answer:
        """Return the answer to `/v2/`, without its body."""
        ping = Request("GET", "", "", partial(NameUnknown, ""), Resource.MANIFEST)
        answer = await self._send(_Attempt(ping, Authorization(), connect), self._base)
        await discard(answer.response)
        return answer

    async def leads_back(self, connect: float) -> bool:
        """Whether the endpoint answers that a request of this task comes from the endpoint itself.

        Raises:
            UpstreamError: it does not answer.
        """
        return (await self._send_ping(connect)).response.status_code == LOOP_DETECTED

    def _note_connection(self) -> None:
        self.connected_at = asyncio.get_running_loop().time()

    async def _follow_redirects(self, attempt: "_Attempt") -> Answer:
        request = attempt.request
        choices = Choices((f"{self._base}{self._prefix}{request.path}",))
        if request.start_at is not None:
            reach = self._rules.find_reach(self._base, self._peer)
            choices = Choices((request.start_at,), reach=reach)
        waited = 0.0
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send_to_first(attempt, choices)
            waited += answer.waited
            if answer.response.status_code not in REDIRECTS:
                return replace(answer, waited=waited)
            location = answer.response.extensions.get(LOCATION, "")
            await discard(answer.response)
            choices = follow(answer.url, location, self._rules, answer.peer)
        raise UpstreamFaulty(self._origin, f"redirects more than {MAX_REDIRECTS} times")

    async def _send_to_first(self, attempt: "_Attempt", choices: Choices) -> Answer:
        """Send a request to the first URL whose server answers."""
        *others, last = choices.urls
        for url in others:
            with suppress(UpstreamUnreachable):
                return await self._send(attempt, url, choices.reach)
        try:
            return await self._send(attempt, last, choices.reach)
        except UpstreamUnreachable as error:
            if not choices.why_not:
                raise
            why = f"redirects from https to {choices.why_not}; https: {error.why}"
            raise UpstreamFaulty(self._origin, why) from error

    async def _send(self, attempt: "_Attempt", url: str, reach: Reach | None = None) -> Answer:
        request = attempt.request
        origin = self._origin if url.startswith(self._base) else origin_of(url)
        headers = dict(request.headers)
        # Only the endpoint's own origin gets the login, also after redirects.
        if attempt.login.header is not None and origin == self._origin:
            headers["Authorization"] = attempt.login.header
        written = write_request(
            self._client,
            request.method,
            url,
            headers,
            connect=attempt.connect,
            is_bulk=request.resource is Resource.BLOB and request.method == "GET",
            reach=reach,
            note_connection=self._note_connection if origin == self._origin else None,
        )
        try:
            response = await send(self._client, written, origin)
        except AddressForbidden as error:
            raise error.explain(self._rules.explain("allow_private_redirects")) from error
        except UpstreamUnreachable as error:
            if origin == self._origin:
                raise
            raise RedirectBroken(origin, error.why) from error
        extensions = response.extensions
        peer, waited = extensions.get(PEER, ""), extensions.get(WAITED, 0.0)
        answer = Answer(response, url, origin, peer, waited)
        if origin == self._origin:
            self._peer = answer.peer
        return answer


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A request with its login."""

    request: Request
    login: Authorization
    connect: float
