"""Behind a reverse proxy, the client's address is one thing everywhere."""

import http.client
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

INSIDE, OUTSIDE = {"X-Forwarded-For": "10.2.0.7"}, {"X-Forwarded-For": "192.0.2.1"}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirrorProcess]:
    """A mirror that trusts 127.0.0.1, lets a network pull, and its own machine pull one image."""
    access = {
        "mode": "users",
        "networks": {"build": ["10.2.0.0/16"], "here": ["127.0.0.0/8"]},
        "rules": [
            {"who": ["@here"], "allow": ["docker.io/own/*"]},
            {"who": ["@build"], "allow": ["docker.io/*"]},
        ],
    }
    settings = {"access": access, "server": {"trusted_proxies": ["127.0.0.1/32"]}}
    with FakeUpstream() as hub:
        for name in ("library/app", "own/app"):
            hub.add_image(name, "1", [b"layer"])
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


@pytest.mark.parametrize(
    "said",
    [
        OUTSIDE | {"Forwarded": "for=192.0.2.77"},
        OUTSIDE | {"Forwarded": "nonsense"},
        {"X-Forwarded-For": "unknown"},
        {"Forwarded": "for=_hidden"},
    ],
)
def test_a_client_is_never_taken_for_its_proxy(mirror: MirrorProcess, said: dict[str, str]) -> None:
    """Not by a header of its own, which a proxy that sets the other one passes on."""
    url = f"{mirror.url}/v2/own/app/manifests/1"

    for _ in range(3):
        assert fetch(url).status == 200  # from the machine itself
        assert fetch(url, OUTSIDE).status == 404
        assert fetch(url, said).status == 404


def test_headers_of_others_are_not_believed(mirror: MirrorProcess) -> None:
    """Whoever connects from another address is not a proxy, also with the same bytes."""
    path = "/v2/library/app/manifests/1"
    headers = INSIDE | {"Host": mirror.host}
    assert [fetch(mirror.url + path, headers).status for _ in range(3)] == [200] * 3

    assert ask_as_stranger(mirror, path, headers)[0] == 404


def test_a_stranger_does_not_choose_what_is_repeated(tmp_path: Path) -> None:
    """A host that a proxy names may mean a registry; who is no proxy, asks another one by it."""
    settings = {"server": {"trusted_proxies": ["127.0.0.1/32"]}}
    path = "/v2/team/app/manifests/1"
    with FakeUpstream() as hub, FakeUpstream() as other:
        of_hub, of_other = (
            each.add_image("team/app", "1", [name]) for each, name in ((hub, b"a"), (other, b"b"))
        )
        upstreams = {"docker.io": hub.url, "other.test": other.url}
        with MirrorProcess(tmp_path, upstreams, settings, workers=1) as mirror:
            headers = INSIDE | {"Host": "mirror.lan", "X-Forwarded-Host": "other.test.mirror.lan"}
            for _ in range(3):
                assert ask_as_stranger(mirror, path, headers) == (200, of_hub.manifest)

            for _ in range(3):
                assert fetch(mirror.url + path, headers).body == of_other.manifest
                assert ask_as_stranger(mirror, path, headers) == (200, of_hub.manifest)


def ask_as_stranger(
    mirror: MirrorProcess, path: str, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Send the bytes that `fetch` sends, from an address that is no proxy's."""
    stranger = http.client.HTTPConnection(mirror.host, source_address=("127.0.0.2", 0))
    with closing(stranger):
        stranger.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            stranger.putheader(name, value)
        stranger.endheaders()
        answer = stranger.getresponse()
        return answer.status, answer.read()
