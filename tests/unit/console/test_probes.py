"""Laws of the names under which the console answers."""

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from registry.console.probes import build_console


async def test_names_in_the_settings_may_have_capitals() -> None:
    """A browser sends them in small letters."""

    async def find_problem() -> str:
        return ""

    app = build_console(find_problem, CollectorRegistry, {"Console.LAN"})
    async with TestClient(TestServer(app)) as client:
        answers = [
            await client.get("/livez", headers={"Host": name})
            for name in ("console.lan:5001", "CONSOLE.lan", "other.lan")
        ]

    assert [each.status for each in answers] == [200, 200, 421]
