"""Probes: `/livez`, `/readyz` and `/metrics`, and what there is at `/`."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

INDEX = """Entrepôt

/livez    200 as long as the steward answers
/readyz   200 when pulls can be answered, else 503 and why
/metrics  for Prometheus
"""


def build_console(
    find_trouble: Callable[[], str], build_collector: Callable[[], CollectorRegistry]
) -> web.Application:
    """Make the console; it opens nothing.

    `find_trouble` says in one line why pulls cannot be answered, or returns an empty string;
    `build_collector` gives the metrics of all processes together.
    """

    async def answer_livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def answer_readyz(_: web.Request) -> web.Response:
        trouble = find_trouble()
        return web.Response(text=f"{trouble or 'ok'}\n", status=503 if trouble else 200)

    async def answer_metrics(_: web.Request) -> web.Response:
        body = generate_latest(build_collector())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def answer_index(_: web.Request) -> web.Response:
        return web.Response(text=INDEX)

    app = web.Application()
    app.router.add_get("/", answer_index)
    app.router.add_get("/livez", answer_livez)
    app.router.add_get("/readyz", answer_readyz)
    app.router.add_get("/metrics", answer_metrics)
    return app
