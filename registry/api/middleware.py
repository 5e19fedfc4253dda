"""Steps for every request: errors become HTTP answers, and each answer is logged once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus

from aiohttp import web

from registry.access.credentials import split_path
from registry.access.proxies import NOBODY, TrustedProxies
from registry.access.surroundings import Surroundings
from registry.api import errors
from registry.api.access_log import CLIENT_CLOSED_REQUEST, SERVER_ERROR, AccessEntry, AccessLog
from registry.api.forwarding import FindCaller, read_forwarding, use_connection
from registry.api.headers import ORIGIN, add_common_headers
from registry.api.open_requests import OpenRequests
from registry.api.paths import split_target
from registry.api.repeated_answers import SentAnswer
from registry.api.replaying_protocol import ReplayingProtocol
from registry.api.socket_writing import MayGoOn, SentBytes
from registry.api.surroundings import find_surroundings
from registry.errors import EntrepotError, NotMirrored
from registry.logs import get_logger
from registry.mirror.kept_blobs import KeptBlob


@dataclass(slots=True)
class Notes:
    """Facts about one request; its handler fills in those that it finds out.

    `ns` is the value of the parameter `ns`, `host` the host that the request is for. `namespace` is
    the same as `ns` if a configured upstream has that name, and otherwise empty. `kind` is the
    endpoint, `repository` the repository with its registry, `reference` a tag or digest, `failure`
    the message of an error.
    `probe` is the random number of a probe, or empty.
    `begun` is an answer that the handler sends itself, `sent` the bytes of its body until now, and
    `has_client_left` says that the client did not wait for the whole body. `find_sent` gets the
    kind and the cache status of that answer, and returns what counts its bytes as they are sent.
    `began_at` is when it began (`time.monotonic`; None: it has not).
    `is_current` gets the address of a client, and returns whether the same request would get the
    same answer at that moment. It is None if the handler cannot know that. `kept` opens the
    stored blob that was sent, or of which a part was sent, for the same request again.

    `client` is the address of the client, or with `is_hidden` that of a proxy which does not say
    whose request it is. With `is_passed_on`, the connection is that of a proxy. `has_tls` says
    whether the client has used TLS, and `find_caller` whose request the same bytes would be on
    another connection.

    `path_token` is the token in front of the path, which is not in `path`. With access.mode =
    "users", `user` is the name of who asks, `proof` how that was proved, and `rule` the rule that
    has decided. `is_refused` says that the client was not let through, and `may_go_on` whether what
    is being sent may still be sent to it.
    """

    path: str
    ns: str
    host: str = ""
    find_sent: Callable[[str, str], Callable[[float], None]] | None = None
    kind: str = "other"
    namespace: str = ""
    repository: str = ""
    reference: str = ""
    failure: str = ""
    probe: str = ""
    begun: web.StreamResponse | None = None
    began_at: float | None = None
    sent: SentBytes | None = None
    has_client_left: bool = False
    is_current: Callable[[str | None], bool] | None = None
    kept: KeptBlob | None = None
    client: str | None = None
    is_hidden: bool = False
    is_passed_on: bool = False
    has_tls: bool = False
    find_caller: FindCaller = use_connection
    path_token: str = field(default="", repr=False)
    user: str = ""
    proof: str = ""
    rule: str = ""
    is_refused: bool = False
    may_go_on: MayGoOn | None = None

    def find_surroundings(self, request: web.BaseRequest) -> Surroundings:
        """Return what says who has sent this request, besides its bytes."""
        connection = find_surroundings(request.transport)
        if self.is_passed_on:
            return connection.pass_on(self.client, is_hidden=self.is_hidden)
        return replace(connection, address=self.client)

    def begin(self, response: web.StreamResponse) -> SentBytes:
        """Note an answer that the handler is about to send; return the counter for its body."""
        find, origin = self.find_sent, response.headers.get(ORIGIN, "")
        note = None if find is None else find(self.kind, origin)
        self.begun, self.sent = response, SentBytes(note, self.may_go_on)
        self.began_at = time.monotonic()
        return self.sent


Handler = Callable[[web.BaseRequest, Notes], Awaitable[web.StreamResponse]]
NoteProbe = Callable[[web.BaseRequest, Notes, EntrepotError], None]


class Middleware:
    """Calls `handler` for each request, renders its errors, and logs each answer once."""

    def __init__(
        self,
        access_log: AccessLog,
        handler: Handler,
        proxies: TrustedProxies = NOBODY,
        open_requests: OpenRequests | None = None,
        note_probe: NoteProbe | None = None,
    ) -> None:
        """Of `proxies`, it is believed what they say of their clients.

        Without `open_requests`, an address may have any number of requests at once. `note_probe`
        is told of requests for probes (`api/probes.py`).
        """
        self._access_log = access_log
        self._handler = handler
        self._proxies = proxies
        self._has_proxies = bool(proxies)
        self._open_requests = open_requests
        self._has_warned = False
        self._log = get_logger("registry.api")
        self._note_probe = note_probe

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        notes = self._begin_notes(request)
        began = time.monotonic()
        response: web.StreamResponse | None = None
        status = SERVER_ERROR
        try:
            if self._open_requests is not None:
                await self._open_requests.begin(notes.client)
            response = await self._handler(request, notes)
            status = CLIENT_CLOSED_REQUEST if notes.has_client_left else response.status
        except EntrepotError as error:
            notes.failure = str(error)
            if notes.probe and self._note_probe is not None:
                self._note_probe(request, notes, error)
            if isinstance(error, NotMirrored):
                notes.rule, notes.is_refused = error.rule, True
            response = errors.render(error, notes.repository.partition("/")[0])
            status = response.status
        except ConnectionError:
            if request.transport is not None and not request.transport.is_closing():
                raise  # it is not the client's connection
            status = CLIENT_CLOSED_REQUEST
            response = web.Response(status=status)  # aiohttp does not send it
        except asyncio.CancelledError:
            status = CLIENT_CLOSED_REQUEST
            raise
        finally:
            begun = notes.begun if response is None else response
            entry = _describe(request, notes, begun, status)
            log = self._access_log.prepare(entry)
            first = None if notes.began_at is None else [notes.began_at - began]
            log.add(notes.client, [time.monotonic() - began], entry.sent, first)
        if not response.prepared:
            add_common_headers(response.headers, notes.namespace)
        answer = SentAnswer(
            response,
            entry,
            log,
            notes.is_current,
            notes.kept,
            notes.find_caller,
            notes.may_go_on,
        )
        _report_when_sent(request, answer)
        return response

    def _begin_notes(self, request: web.BaseRequest) -> Notes:
        """Return what the request line, its headers, and trusted proxies say."""
        # Not `request.host`: if there is no Host header, it looks up this machine's name by DNS.
        path, query, host = split_target(request.raw_path, request.headers.get("Host", ""))
        token, path = split_path(path)
        ns = request.query.get("ns", "") if query else ""
        notes = Notes(path, ns, host, self._access_log.find_sent, path_token=token)
        notes.client, notes.has_tls = request.remote, request.secure
        if self._has_proxies:
            self._find_origin(request, notes)
        return notes

    def _find_origin(self, request: web.BaseRequest, notes: Notes) -> None:
        """Note what trusted proxies say of the client."""
        headers = read_forwarding(request)
        if headers is None:
            return
        origin = headers.find_origin(self._proxies, request.remote)
        notes.client, notes.is_hidden = origin.address, origin.is_hidden
        notes.is_passed_on = self._proxies.trusts(request.remote)
        self._warn_of_certificate(request, notes)
        notes.has_tls = origin.scheme == "https" if origin.scheme else notes.has_tls
        notes.host = origin.host or notes.host
        notes.find_caller = partial(headers.find_client, self._proxies, origin.host)

    def _warn_of_certificate(self, request: web.BaseRequest, notes: Notes) -> None:
        """Say once that a proxy has a certificate, by which its clients are not known."""
        if self._has_warned or not notes.is_passed_on:
            return
        if name := find_surroundings(request.transport).certificate:
            self._has_warned = True
            cure = "let the clients of the proxy send tokens or passwords"
            self._log.warning(
                "certificate of a proxy proves nothing",
                certificate=name,
                client=request.remote,
                cure=cure,
            )


def _describe(
    request: web.BaseRequest, notes: Notes, response: web.StreamResponse | None, status: int
) -> AccessEntry:
    sent = 0
    is_cut = status == CLIENT_CLOSED_REQUEST and request.method == "GET"
    if notes.sent is not None:
        sent = notes.sent.count
    elif response is not None and request.method == "GET":
        sent = response.content_length or 0
    return AccessEntry(
        method=request.method,
        path=notes.path,
        namespace=notes.ns,
        agent=request.headers.get("User-Agent", ""),
        kind=notes.kind,
        status=status,
        origin="" if response is None else response.headers.get(ORIGIN, ""),
        sent=sent,
        failure=notes.failure,
        repository=notes.repository,
        reference=notes.reference,
        user=notes.user,
        proof=notes.proof,
        rule=notes.rule,
        is_refused=notes.is_refused,
        is_counted=notes.sent is not None,
        size=_find_size(notes.begun) if is_cut else 0,
        host=notes.host,
    )


def _find_size(response: web.StreamResponse | None) -> int:
    """Return the size of the content of which an answer is a part or the whole; 0: not known."""
    if response is None:
        return 0
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return response.content_length or 0
    size = response.headers.get("Content-Range", "").rpartition("/")[2]  # RFC 9110, 14.4
    return int(size) if size.isdigit() else 0


def _report_when_sent(request: web.BaseRequest, answer: SentAnswer) -> None:
    """Notify the connection as soon as aiohttp's task ends, because the answer was sent then."""
    connection = None if request.transport is None else request.transport.get_protocol()
    task = asyncio.current_task()
    if isinstance(connection, ReplayingProtocol) and task is not None:
        task.add_done_callback(partial(connection.finish_answer, answer))
