"""One client that asks for too much at once is told so, and the others are served."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch, wait_until

ONE, OTHER = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}


def count(mirror: MirrorProcess, name: str, reason: str) -> float:
    """Return the value of one of the counters of requests."""
    wanted = f'entrepot_{name}_requests_total{{reason="{reason}"}} '
    lines = fetch(f"{mirror.console}/metrics").body.decode().splitlines()
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


@contextmanager
def asking(url: str, headers: dict[str, str]) -> Iterator[list[Answer]]:
    """Ask in a thread; the answer is in the list after the end of the block."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(fetch(url, headers)))
    thread.start()
    try:
        yield answers
    finally:
        thread.join()


def test_requests_of_a_client_behind_a_proxy_are_counted(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """By the address that the proxy names: neighbours of it are not, and the proxy is not."""
    for name in ("stored", "slow"):
        hub.add_image(f"library/{name}", "1", [b"layer"])
    mirror = make_mirror(
        {
            "limits": {"requests_per_address": 1},
            "server": {"trusted_proxies": ["127.0.0.1/32"]},
        },
        workers=1,
    )
    stored, slow = (f"{mirror.url}/v2/library/{name}/manifests/1" for name in ("stored", "slow"))
    assert [fetch(stored, each).status for each in (ONE, OTHER)] == [200, 200]
    hub.hang()
    asked = len(hub.journal)
    with asking(slow, ONE) as first:
        wait_until(lambda: len(hub.journal) > asked, "the first request asks the upstream")
        with asking(slow, ONE) as second:
            wait_until(lambda: count(mirror, "delayed", "address") == 1, "the second one waits")
            refused = fetch(slow, ONE)
            served = fetch(f"{mirror.url}/v2/", OTHER)
            hub.unhang()

    assert (refused.status, refused.code) == (429, "TOOMANYREQUESTS")
    assert refused.headers["Retry-After"] == "5"
    assert "limits.requests_per_address" in refused.message
    assert served.status == 200
    assert {answer.status for answer in (*first, *second)} == {200}
    assert count(mirror, "refused", "address") == 1
    (line,) = mirror.events("client has too many requests at once")
    assert line["client"] == "192.0.2.1"


def test_a_download_has_so_many_readers(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Who is too many gets 503, and the blob when it is stored; those before it get all of it."""
    hub.connection_rate = 1 << 20
    image = hub.add_image("library/app", "1", [bytes(2 << 20)])
    mirror = make_mirror({"limits": {"readers_per_download": 2}}, workers=1)
    url = f"{mirror.url}/v2/library/app/blobs/{image.layers[0]}"
    assert fetch(f"{mirror.url}/v2/library/app/manifests/1").status == 200
    with ExitStack() as stack:
        asked = [stack.enter_context(asking(url, {})) for _ in range(3)]
    answers = sorted((answer for (answer,) in asked), key=lambda answer: answer.status)

    refused = answers.pop()
    assert [answer.body for answer in answers] == [bytes(2 << 20)] * 2
    assert (refused.status, refused.code) == (503, "UNAVAILABLE")
    assert refused.headers["Retry-After"] == "5"
    assert "limits.readers_per_download" in refused.message
    assert count(mirror, "refused", "download") == 1
    hub.connection_rate = None
    wait_until(lambda: fetch(url).origin == "hit", "it is stored")
    assert len(mirror.events("too many clients for one download")) == 1
