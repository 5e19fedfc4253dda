"""The pages for monitoring: `/livez`, `/readyz` and `/metrics`, and a list of them at `/`.

What people read is in other files of this room, which are imported when the first person asks.
"""

from collections.abc import Awaitable, Callable, Collection

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from registry.console.browser_requests import wants_json, wants_page
from registry.console.hosts import is_own_name

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

INDEX = """Entrepôt

/livez    200 while the background process answers
/readyz   200 while every pull can be answered, and otherwise 503 with the reason
/metrics  metrics for Prometheus

With a browser, this address shows images, upstreams, clients and events. As JSON, the first page is

    curl -H "Accept: application/json" http://.../
"""


def build_console(
    find_problem: Callable[[], Awaitable[str]],
    build_collector: Callable[[], CollectorRegistry],
    names: Collection[str] = (),
    answer_page: Answer | None = None,
) -> web.Application:
    """Make the web application; this opens no socket.

    `find_problem` returns one line that says why some pulls cannot be answered; empty if all can.
    `build_collector` returns the metrics of all processes. `names` are those under which the
    console may be asked for, beside addresses and names without a dot. `answer_page` answers all
    other requests; without it, there are no pages.
    """
    own = frozenset(name.lower() for name in names)

    @web.middleware
    async def refuse_other_names(request: web.Request, handler: Answer) -> web.StreamResponse:
        if is_own_name(request.headers.get("Host", ""), own):
            return await handler(request)
        text = "This name is not in server.console_hosts.\n"
        return web.Response(text=text, status=421)  # Misdirected Request

    async def answer_livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def answer_readyz(_: web.Request) -> web.Response:
        problem = await find_problem()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    async def answer_metrics(_: web.Request) -> web.Response:
        body = generate_latest(build_collector())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def answer_index(request: web.Request) -> web.StreamResponse:
        accept = request.headers.get("Accept", "")
        if answer_page is not None and (wants_page(accept) or wants_json(accept)):
            return await answer_page(request)
        return web.Response(text=INDEX)

    app = web.Application(middlewares=[refuse_other_names])
    app.router.add_get("/", answer_index)
    app.router.add_get("/livez", answer_livez)
    app.router.add_get("/readyz", answer_readyz)
    app.router.add_get("/metrics", answer_metrics)
    if answer_page is not None:
        app.router.add_route("*", "/{path:.*}", answer_page)
    return app
