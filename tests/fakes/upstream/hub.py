"""The fake upstream for tests: content, switches, faults and journal in one object."""

import asyncio
import time
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from tests.fakes.upstream.backend import Backend, Source
from tests.fakes.upstream.conduct import Conduct
from tests.fakes.upstream.engine import Engine
from tests.fakes.upstream.exchange import Exchange, Refusal, Shared
from tests.fakes.upstream.faults import Faults
from tests.fakes.upstream.holdings import Holdings
from tests.fakes.upstream.hosts import DATA, ContentHost, TokenService
from tests.fakes.upstream.journal import Entry, Journal, Kind
from tests.fakes.upstream.pace import Pace
from tests.fakes.upstream.registry import Registry, sort_path
from tests.fakes.upstream.signing import Signer
from tests.fakes.upstream.site import Handler, Site
from tests.fakes.upstream.tokens import Tokens

Part = Literal["registry", "cdn", "token"]


class FakeUpstream(Holdings, Conduct):
    """A registry, its content host and its token service, each on its own port.

    The methods for content are those of `Holdings`, the switches those of `Conduct`. `port` 0 uses
    any three ports; another `port` uses `port`, `port` + 1 and `port` + 2.
    """

    def __init__(
        self,
        *,
        backend: str | None = None,
        auth: Literal["bearer", "basic", "none"] = "bearer",
        port: int = 0,
    ) -> None:
        Holdings.__init__(self)
        Conduct.__init__(self, auth=auth)
        self._port = port
        self._engine = Engine()
        self._tokens = Tokens()
        self._signer = Signer()
        self.faults = Faults()
        self.journal = Journal(self._engine.settle)
        self._shared = Shared(self, self.faults, Pace(), asyncio.Event())
        self._shared.gate.set()
        source = Source(self, Backend(backend) if backend else None)
        self._registry = Registry(
            source,
            self._tokens,
            self._signer,
            url=lambda: f"{self.url}{self.base_path}",
            realm=lambda: self.realm,
            cdn_url=lambda: self.cdn_url,
        )
        self._content_host = ContentHost(source, self._signer)
        self._token_service = TokenService(self._tokens)
        parts: tuple[Part, ...] = ("registry", "cdn", "token")
        self._sites: dict[Part, Site] = {part: Site(self._handler(part)) for part in parts}

    @property
    def url(self) -> str:
        """The URL of the registry."""
        return self._sites["registry"].url

    @property
    def host(self) -> str:
        """Host and port of the registry, as in the name of an image."""
        return self.url.removeprefix("http://")

    @property
    def endpoint(self) -> str:
        """The URL of the registry as the setting `endpoints` has it."""
        project = self.project.rstrip("/")
        return f"{self.url}{self.base_path}" + (f"/v2/{project}" if project else "")

    @property
    def cdn_url(self) -> str:
        """The URL of the content host, to which blobs are redirected."""
        return self._sites["cdn"].url

    @property
    def realm(self) -> str:
        """The URL of the token service."""
        return self._sites["token"].url + "/token"

    def start(self, *parts: Part) -> None:
        """Listen on the ports of these parts (of all without arguments), also after `stop`."""
        if not self._engine.running:
            self._engine.start()
            for offset, site in enumerate(self._sites.values()):
                site.bind(self._port + offset if self._port else 0)
        for part in parts or self._sites:
            self._engine.call(self._sites[part].open())

    def stop(self, *parts: Part) -> None:
        """Close the ports of these parts (of all without arguments) and their connections."""
        for part in parts or self._sites:
            self._engine.call(self._sites[part].close())

    def hang(self) -> None:
        """Accept connections, but send nothing, also in bodies that are being sent."""
        self._engine.call(self._set_gate(is_open=False))

    def unhang(self) -> None:
        """Continue after `hang`."""
        self._engine.call(self._set_gate(is_open=True))

    async def _set_gate(self, *, is_open: bool) -> None:
        if is_open:
            self._shared.gate.set()
        else:
            self._shared.gate.clear()

    def expire_tokens(self) -> None:
        """Make all tokens issued so far invalid."""
        self._tokens.expire_all()

    def expire_urls(self) -> None:
        """Make all signed URLs issued so far invalid."""
        self._signer.expire_all()

    def close(self) -> None:
        """Stop, and release the ports; the fake cannot be started again."""
        if self._engine.running:
            self.stop()
            self._engine.stop()
        for site in self._sites.values():
            site.release()

    def __repr__(self) -> str:
        ports = "/".join(str(site.port) for site in self._sites.values())
        return f"<FakeUpstream on {ports}>"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _handler(self, part: Part) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            entry = _open_entry(part, request, self)
            self.journal.record(entry)
            try:
                return await self._answer(part, Exchange(request, entry, self._shared))
            finally:
                entry.finished = time.monotonic()

        return handle

    async def _answer(self, part: Part, exchange: Exchange) -> web.StreamResponse:
        answered = await exchange.apply_arrival_faults()
        if answered is not None:
            return answered
        try:
            match part:
                case "registry":
                    return await self._registry.answer(exchange)
                case "cdn":
                    return await self._content_host.answer(exchange)
                case "token":
                    return await self._token_service.answer(exchange)
        except Refusal as refusal:
            return await exchange.refuse(refusal)


def _open_entry(part: Part, request: web.BaseRequest, conduct: Conduct) -> Entry:
    path, _, query = request.raw_path.partition("?")
    kind: Kind
    digest: str | None = None
    match part:
        case "registry":
            kind, _, reference = sort_path(path, conduct)
            digest = reference if ":" in reference else None
        case "cdn":
            kind = "cdn"
            found = DATA.fullmatch(path)
            digest = found["digest"] if found else None
        case "token":
            kind = "token"
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return Entry(kind, request.method, path, query, request.headers, peer[1] if peer else 0, digest)
