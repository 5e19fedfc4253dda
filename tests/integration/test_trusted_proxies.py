"""Behind a reverse proxy, the client's address is one thing everywhere."""

import http.client
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

INSIDE, OUTSIDE = {"X-Forwarded-For": "10.2.0.7"}, {"X-Forwarded-For": "192.0.2.1"}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirrorProcess]:
    """A mirror that trusts 127.0.0.1, and lets a network pull."""
    access = {
        "mode": "users",
        "networks": {"build": ["10.2.0.0/16"]},
        "rules": [{"who": ["@build"], "allow": ["docker.io/*"]}],
    }
    settings = {"access": access, "server": {"trusted_proxies": ["127.0.0.1/32"]}}
    with FakeUpstream() as hub:
        hub.add_image("library/app", "1", [b"layer"])
        folder = tmp_path_factory.mktemp("proxies")
        with MirrorProcess(folder, {"docker.io": hub.url}, settings, workers=1) as running:
            yield running


def test_rules_use_the_address_of_the_client(mirror: MirrorProcess) -> None:
    """Also if the answer is repeated: it depends on bytes of the request, and on who sent them."""
    url = f"{mirror.url}/v2/library/app/manifests/1"

    for _ in range(3):
        assert fetch(url, INSIDE).status == 200
        assert fetch(url, OUTSIDE).status == 404
        assert fetch(url).status == 404


def test_the_log_and_the_history_have_the_address_of_the_client(mirror: MirrorProcess) -> None:
    """The proxy's own is in none of them."""
    url = f"{mirror.url}/v2/library/app/manifests/1"
    for _ in range(3):
        fetch(url, INSIDE)

    def list_clients() -> set[str]:
        with closing(sqlite3.connect(mirror.data / "catalog.db")) as catalog:
            return {row[0] for row in catalog.execute("SELECT client FROM pulls")}

    wait_until(lambda: list_clients() == {"10.2.0.7"}, "the pulls are recorded")
    lines = [each for each in mirror.events("request") if each["status"] == 200]
    assert {each["client"] for each in lines} == {"10.2.0.7"}


def test_headers_of_others_are_not_believed(mirror: MirrorProcess) -> None:
    """Whoever connects from another address is not a proxy, also with the same bytes."""
    path = "/v2/library/app/manifests/1"
    headers = INSIDE | {"Host": mirror.host}
    assert [fetch(mirror.url + path, headers).status for _ in range(3)] == [200] * 3

    stranger = http.client.HTTPConnection(mirror.host, source_address=("127.0.0.2", 0))
    with closing(stranger):
        stranger.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            stranger.putheader(name, value)
        stranger.endheaders()

        assert stranger.getresponse().status == 404
