"""Laws of the faults of the fake upstream."""

import gzip
import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from tests.fakes.client import Answer, ask, get_token, locate, pull
from tests.fakes.upstream import (
    Cut,
    Delay,
    DropDigestHeader,
    Endless,
    ExpireUrl,
    FakeUpstream,
    Fault,
    Gzip,
    Hang,
    IgnoreRange,
    Lie,
    LieEvery,
    LieInside,
    NoLength,
    Plain429,
    Redirect,
    RedirectLoop,
    Stall,
    Status,
    WrongRange,
)
from tests.fakes.upstream.faults import Action

REPOSITORY = "library/thing"
LAYER = bytes(range(256)) * 40


def test_signed_urls_expire(hub, blob):
    """`expire_urls` ends all URLs issued so far, the fault `ExpireUrl` the next one."""
    location = locate(hub, REPOSITORY, blob)
    hub.faults.add(Fault("cdn", ExpireUrl()))
    assert b"Request has expired" in ask(location).body
    assert ask(location).status == 200
    hub.expire_urls()
    assert ask(location).status == 403
    assert ask(locate(hub, REPOSITORY, blob)).status == 200


@pytest.mark.parametrize("reset", [False, True])
def test_cut_ends_the_connection(hub, blob, reset):
    """After so many bytes (after a reset, at most so many) the connection ends."""
    hub.faults.add(Fault("blob", Cut(1000, reset=reset)))
    location = locate(hub, REPOSITORY, blob)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as raised:
        ask(location)
    if not reset:
        assert len(raised.value.partial) == 1000
    assert hub.journal.bytes_sent(blob) == 1000
    assert ask(location).body == LAYER


def test_cut_every_lets_a_client_advance_by_ranges(hub, blob):
    """Each long answer is cut, and a client reaches the end by ranges."""
    hub.cut_every = 4000
    location = locate(hub, REPOSITORY, blob)
    got = b""
    while len(got) < len(LAYER):
        try:
            got += ask(location, Range=f"bytes={len(got)}-").body
        except http.client.IncompleteRead as short:
            got += short.partial
    assert got == LAYER
    assert [entry.body_bytes for entry in hub.journal.of("cdn")] == [4000, 4000, 2240]


def test_stall_sends_no_more_and_keeps_the_connection(hub, blob):
    """After so many bytes nothing is sent, and the connection stays open."""
    hub.faults.add(Fault("cdn", Stall(500)))
    with pytest.raises(TimeoutError):
        ask(locate(hub, REPOSITORY, blob), timeout=0.2)
    (entry,) = hub.journal.of("cdn")
    assert (entry.status, entry.body_bytes) == (200, 500)


def test_hang_and_delay_hold_back_the_headers(hub, blob):
    """A hanging request never gets headers; a delayed one gets them later."""
    hub.faults.add(Fault("manifest", Hang()), Fault("manifest", Delay(0.2)))
    with pytest.raises(TimeoutError):
        pull_within(hub, 0.2)
    before = time.monotonic()
    assert pull_within(hub, 5).status == 200
    assert time.monotonic() - before >= 0.2
    assert [entry.status for entry in hub.journal.of("manifest")] == [0, 200]


def pull_within(hub: FakeUpstream, timeout: float) -> Answer:
    url = f"{hub.url}/v2/{REPOSITORY}/manifests/latest"
    return ask(url, timeout=timeout, Authorization=get_token(hub, REPOSITORY))


def test_wrong_bytes_keep_the_length(hub, blob):
    """One byte of a blob or manifest is wrong, and the length is right."""
    hub.faults.add(Fault("blob", Lie(5)), Fault("manifest", Lie(-1)))
    body = ask(locate(hub, REPOSITORY, blob)).body
    assert [at for at, byte in enumerate(body) if byte != LAYER[at]] == [5]
    wrong, right = (pull(hub, REPOSITORY, "manifests/latest").body for _ in range(2))
    assert (wrong[:-1], wrong[-1] == right[-1]) == (right[:-1], False)


def test_lies_of_real_accelerators(hub, blob):
    """One depends on the range that is asked for, and leaves small bodies right; one does not."""
    url, half = locate(hub, REPOSITORY, blob), len(LAYER) // 2

    def find_lies(action: Action, start: int, stop: int) -> list[int]:
        hub.faults.add(Fault("cdn", action))
        body = ask(url, Range=f"bytes={start}-{stop - 1}").body
        return [at for at, byte in enumerate(body, start) if byte != LAYER[at]]

    assert find_lies(LieInside(over=half), 0, len(LAYER)) == [half]
    assert find_lies(LieInside(over=half - 4), half, len(LAYER)) == [(half + len(LAYER)) // 2]
    hub.faults.clear()
    assert find_lies(LieInside(over=half), 0, half) == []
    hub.faults.clear()
    assert find_lies(LieEvery(step=10, at=3), 2, 15) == [3, 13]


def test_bodies_without_end_or_length(hub, blob):
    """`NoLength` is chunked; `Endless` has no end, or a declared length."""
    hub.faults.add(
        Fault("cdn", NoLength()),
        Fault("cdn", Endless(declared=len(LAYER) + 9)),
        Fault("cdn", Endless()),
    )
    location = locate(hub, REPOSITORY, blob)
    chunked = ask(location)
    assert (chunked.headers["Content-Length"], chunked.body) == (None, LAYER)
    assert ask(location).body == LAYER + bytes(9)
    connection = http.client.HTTPConnection(urlsplit(location).netloc, timeout=5)
    connection.request("GET", location.removeprefix(hub.cdn_url))
    with connection.getresponse() as response:
        assert len(response.read(20 << 20)) == 20 << 20
    connection.close()


def test_actions_combine_in_a_tuple(hub, blob):
    """(NoLength, Cut) is a chunked body that is cut."""
    hub.faults.add(Fault("cdn", (NoLength(), Cut(100))))
    with pytest.raises(http.client.IncompleteRead) as raised:
        ask(locate(hub, REPOSITORY, blob))
    assert raised.value.partial == LAYER[:100]


def test_ranges_go_wrong(hub, blob):
    """`IgnoreRange` answers 200; `WrongRange` sends another range, with any header."""
    hub.faults.add(
        Fault("cdn", IgnoreRange()),
        Fault("cdn", WrongRange(shift=3)),
        Fault("cdn", WrongRange(shift=3, honest=False)),
    )
    location = locate(hub, REPOSITORY, blob)
    assert ask(location).body == LAYER
    assert ask(location, Range="bytes=5-9").status == 200
    wrong = ask(location, Range="bytes=5-9")
    assert (wrong.headers["Content-Range"], wrong.body) == ("bytes 8-12/10240", LAYER[8:13])
    assert ask(location, Range="bytes=5-9").headers["Content-Range"] == "bytes 5-9/10240"


def test_headers_go_wrong(hub, blob):
    """`Gzip` encodes the body; `DropDigestHeader` leaves the digest out."""
    hub.faults.add(Fault("cdn", Gzip()), Fault("manifest", DropDigestHeader()))
    packed = ask(locate(hub, REPOSITORY, blob))
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == LAYER
    assert (
        pull(hub, REPOSITORY, "manifests/latest", method="HEAD").headers["Docker-Content-Digest"]
        is None
    )


def test_redirects_go_wrong(hub, blob):
    """`Redirect` leads to any URL, `RedirectLoop` to the same URL; both need a token."""
    hub.faults.add(Fault("blob", Redirect("http://x.example/y")), Fault("manifest", RedirectLoop()))
    assert ask(f"{hub.url}/v2/{REPOSITORY}/blobs/{blob}").status == 401
    assert locate(hub, REPOSITORY, blob) == "http://x.example/y"
    looped = pull(hub, REPOSITORY, "manifests/latest")
    assert (looped.status, looped.headers["Location"]) == (
        307,
        f"/v2/{REPOSITORY}/manifests/latest",
    )


def test_the_script_is_followed_in_order_and_as_often_as_it_says(hub, blob):
    """Matchers, `skip` and `times` select the requests that get a fault."""
    fault = hub.faults.add(
        Fault("manifest", Status(503), method="HEAD", contains="latest", skip=1, times=2)
    )
    statuses = [pull(hub, REPOSITORY, "manifests/latest", method="HEAD").status for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert fault.applied == 2
    page = Status(200, "<html>login</html>", {"Content-Type": "text/html"})
    hub.faults.add(Fault("any", page, times=None))
    assert {ask(hub.url + "/v2/").body, ask(hub.realm).body} == {b"<html>login</html>"}
    hub.faults.clear()
    assert pull(hub, REPOSITORY, "manifests/latest").status == 200


def test_plain_429_has_bare_line_feeds(hub):
    """The answer has LF line ends, and the connection is closed."""
    hub.faults.add(Fault("manifest", Plain429()))
    host, _, port = hub.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(b"GET /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 429 Too Many Requests\nContent-Type: text/plain\n")
    assert b"\nRetry-After: 60\n" in answer
    assert b"\r" not in answer
    assert answer.endswith(b"\n\nToo Many Requests (HAP429).\n")


def test_stop_refuses_and_start_answers_on_the_same_port(hub, blob):
    """A stopped fake closes its connections and refuses new ones."""
    url = hub.url
    hub.faults.add(Fault("cdn", Stall(10)))
    location = locate(hub, REPOSITORY, blob)
    failures: list[BaseException] = []
    thread = threading.Thread(target=lambda: failures.append(catch(location)))
    thread.start()
    wait_until(lambda: hub.journal.bytes_sent(blob) == 10)
    hub.stop()
    thread.join(5)
    assert isinstance(failures[0], http.client.IncompleteRead | ConnectionError)
    with pytest.raises(ConnectionRefusedError):
        ask(url)
    hub.start()
    assert hub.url == url
    assert ask(location).body == LAYER


def catch(url: str) -> BaseException:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as raised:
        ask(url)
    return raised.value


def wait_until(condition, retries: float = 5) -> None:
    deadline = time.monotonic() + retries
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_one_part_stops_alone(hub, blob):
    """The content host can be stopped while the registry answers."""
    location = locate(hub, REPOSITORY, blob)
    hub.stop("cdn")
    assert pull(hub, REPOSITORY, "manifests/latest").status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(location)


def test_a_hanging_hub_accepts_and_answers_later(hub, blob):
    """After `hang` nothing is sent; after `unhang` waiting requests are answered."""
    hub.hang()
    with pytest.raises(TimeoutError):
        ask(hub.url + "/v2/", timeout=0.1)
    timer = threading.Timer(0.1, hub.unhang)
    timer.start()
    assert ask(hub.url + "/v2/").status == 401
    timer.join()
