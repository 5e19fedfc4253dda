"""What changes in accounts and rules counts within a second, in all workers, under load."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import PATIENCE, fetch, wait_until

AT_ONCE = 4
WITHIN = 1.0  # seconds
LARGE = 32 * 1024 * 1024  # bytes of a layer; far more than the kernel keeps for a client
ALLOW, DENY = 'allow = ["docker.io/*"]', 'deny = ["docker.io/*"]'


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[MirrorProcess]:
    """A mirror with two workers, one image, and a rule for the token ci."""
    rules = [{"who": ["ci"], "allow": ["docker.io/*"]}]
    with FakeUpstream() as hub:
        hub.add_image("library/app", "1", [b"layer", bytes(LARGE)])
        access = {"mode": "users", "rules": rules}
        with MirrorProcess(tmp_path, {"docker.io": hub.url}, {"access": access}) as running:
            yield running


def add_token(mirror: MirrorProcess) -> str:
    """Add the token ci, and return the URL of the manifest with it in the path."""
    made = json.loads(mirror.run("tokens", "add", "ci", "--json").stdout)
    url = f"{mirror.url}/t/{made['token']}/v2/library/app/manifests/1"
    wait_until(lambda: fetch(url).status == 200, "the token counts")
    return url


class Load:
    """Clients that ask all the time; `answers` are the moments and statuses of their answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(AT_ONCE)]
        self.answers: list[tuple[float, int]] = []

    def _ask(self) -> None:
        while not self._is_over.is_set():
            began = time.monotonic()
            self.answers.append((began, fetch(self._url).status))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.answers) > 20, "the load has begun")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def count_allowed_after(self, moment: float) -> int:
        """Return how many requests that began after a moment were answered with the manifest."""
        return sum(status == 200 for began, status in self.answers if began > moment)


def test_a_removed_token_pulls_nothing_more(mirror: MirrorProcess) -> None:
    """Although its answers are repeated from memory, by two workers."""
    with Load(add_token(mirror)) as load:
        assert not mirror.run("tokens", "rm", "ci").returncode
        removed = time.monotonic()
        time.sleep(2 * WITHIN)

    assert load.count_allowed_after(removed + WITHIN) == 0
    assert load.answers[-1][1] == 403


def test_a_new_token_of_the_same_name_is_another_one(mirror: MirrorProcess) -> None:
    """The former text stays without effect."""
    former = add_token(mirror)
    assert not mirror.run("tokens", "rm", "ci").returncode
    wait_until(lambda: fetch(former).status == 403, "the token was removed")

    add_token(mirror)

    assert fetch(former).status == 403


@pytest.mark.parametrize("is_known", [False, True])
def test_a_running_answer_ends_with_its_account(mirror: MirrorProcess, is_known: bool) -> None:
    """A large blob that is being sent, for the first time or again; others go on to get it."""
    url = add_token(mirror)
    layer = fetch(url).json()["layers"][1]["digest"]
    path = url.removeprefix(mirror.url).replace("manifests/1", f"blobs/{layer}")
    if is_known:
        wait_until(lambda: fetch(mirror.url + path).origin == "hit", "the layer is stored")
    connection = http.client.HTTPConnection(mirror.host, timeout=PATIENCE)
    with closing(connection):
        for _ in range(3 * is_known):  # the last one is sent without aiohttp
            connection.request("GET", path)
            assert len(connection.getresponse().read()) == LARGE
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read(1024)

        assert not mirror.run("tokens", "rm", "ci").returncode
        time.sleep(WITHIN)

        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    mirror.await_failure("the account of this client was removed or changed")


def test_a_changed_rule_counts_after_a_reload(mirror: MirrorProcess) -> None:
    """The workers that leave answer nothing more by the former rules."""
    with Load(add_token(mirror)) as load:
        text = mirror.config.read_text()
        assert ALLOW in text
        mirror.config.write_text(text.replace(ALLOW, DENY))
        os.kill(mirror.pid, signal.SIGHUP)
        wait_until(lambda: mirror.events("reloaded"), "the settings were loaded again")
        reloaded = time.monotonic()
        time.sleep(2 * WITHIN)

    assert load.count_allowed_after(reloaded + WITHIN) == 0
    assert load.answers[-1][1] == 404
