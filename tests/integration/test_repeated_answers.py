"""Repeated answers over the wire equal first ones, in whatever way they are requested."""

import random
import socket
import time
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import PATIENCE, fetch, wait_until


class Line:
    """One connection that is kept."""

    def __init__(self, mirror: MirrorProcess) -> None:
        place = urlsplit(mirror.url)
        self._host = f"{place.hostname}:{place.port}"
        self._socket = socket.create_connection((place.hostname, place.port), timeout=PATIENCE)
        self._heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def write(self, path: str, method: str = "GET", *headers: str) -> bytes:
        lines = (f"{method} {path} HTTP/1.1", f"Host: {self._host}", *headers, "", "")
        return "\r\n".join(lines).encode()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, method: str = "GET") -> tuple[list[bytes], bytes]:
        """The head of one answer without what passes, and its body."""
        while b"\r\n\r\n" not in self._heard:
            self._more()
        head, _, self._heard = self._heard.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next(int(line[16:]) for line in lines if line.startswith(b"Content-Length: "))
        length = 0 if method == "HEAD" else length
        while len(self._heard) < length:
            self._more()
        body, self._heard = self._heard[:length], self._heard[length:]
        passing = (b"Date:", b"X-Entrepot-Origin:")
        return sorted(line for line in lines if not line.startswith(passing)), body

    def _more(self) -> None:
        more = self._socket.recv(65536)
        assert more, "the mirror hung up"
        self._heard += more

    def ask(self, path: str, method: str = "GET", *headers: str) -> tuple[list[bytes], bytes]:
        self.send(self.write(path, method, *headers))
        return self.read(method)


def test_repeated_answers_look_like_first_ones(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """GET, HEAD and conditional GET: the tenth answer is the second but for its date.

    Each of them is logged and counted.
    """
    image = shared_hub.add_image("library/again", "1", [b"again"])
    path = f"/v2/{image.repository}/manifests/1"
    conditional = f'If-None-Match: "{image.digest}"'
    with Line(shared_mirror) as line:
        answers = [line.ask(path) for _ in range(10)]
        heads = [line.ask(path, "HEAD") for _ in range(10)]
        line.send(line.write(path, "GET", conditional))

    assert [body for _, body in answers] == [image.manifest] * 10
    assert all(answer[0] == answers[0][0] for answer in answers)
    assert all(head == (answers[0][0], b"") for head in heads)

    def logged() -> list[str]:
        entries = [each for each in shared_mirror.events("request") if each["path"] == path]
        return [f"{each['method']} {each['status']} {each['client']}" for each in entries]

    wanted = ["GET 200 127.0.0.1"] * 10 + ["HEAD 200 127.0.0.1"] * 10 + ["GET 304 127.0.0.1"]
    wait_until(lambda: logged() == wanted, "every request in the log")


def test_a_moved_tag_is_seen_on_the_same_connection(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """What is repeated is repeated only as long as the tag is fresh."""
    first = hub.add_image("library/moving", "1", [b"first"])
    mirror = make_mirror({"tags": {"fresh_for": "1s"}})
    path = "/v2/library/moving/manifests/1"
    with Line(mirror) as line:
        assert {line.ask(path)[1] for _ in range(5)} == {first.manifest}

        second = hub.add_image("library/moving", "1", [b"second"])
        time.sleep(1.2)

        assert {line.ask(path)[1] for _ in range(5)} == {second.manifest}


def test_nothing_is_held_back_after_an_empty_blob(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """A blob without a byte leaves its connection as quick as it was."""
    image = shared_hub.add_image("library/empty", "1", [b""])
    base = f"/v2/{image.repository}"
    with Line(shared_mirror) as line:
        line.ask(f"{base}/manifests/1")
        began = time.monotonic()
        assert line.ask(f"{base}/blobs/{image.layers[0]}")[1] == b""
        for _ in range(20):
            assert line.ask(f"{base}/manifests/1")[1] == image.manifest
        # The kernel lets go of what is held back after 0.2 s each time: that would be four seconds.
        assert time.monotonic() - began < 2


def test_parts_look_like_first_answers(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Parts, the whole and refusals are the same, whether aiohttp answers or not."""
    chance = random.Random(1)
    content = chance.randbytes(3 << 20)
    image = shared_hub.add_image("library/parts", "1", [content])
    path = f"/v2/{image.repository}/blobs/{image.layers[0]}"
    fetch(f"{shared_mirror.url}/v2/{image.repository}/manifests/1")
    fetch(f"{shared_mirror.url}{path}")
    places = [chance.randrange(len(content)) for _ in range(20)]
    ranges = [f"{place}-{place + chance.choice([0, 9, 1 << 20])}" for place in places]
    ranges += ["0-", f"{len(content)}-", "5-4", "-3", "0-0,5-5", "x", "00-01"]
    with Line(shared_mirror) as line:
        line.ask(path, "GET", "Range: bytes=0-0")
        for number, asked in enumerate(ranges):
            header = f"Range: bytes={asked}"
            first = line.ask(path, "GET", header, f"X-Number: {number}")  # nobody has sent this yet
            repeated = line.ask(path, "GET", header)
            if "," not in asked:  # then the boundary is another one each time
                assert repeated == first, asked
        assert line.ask(path) == line.ask(path)


def send_some(chance: random.Random, line: Line, kinds: list[tuple[str, str, bytes]]) -> None:
    """Send a few requests at once, cut anywhere, and read their answers."""
    asked = chance.choices(kinds, k=chance.choice([1, 1, 1, 2, 5]))
    data = b"".join(line.write(path, method) for method, path, _ in asked)
    cut = chance.choice([0, 0, chance.randrange(len(data))])
    if cut:
        line.send(data[:cut])
        time.sleep(0.002)
    line.send(data[cut:])
    for method, path, body in asked:
        assert line.read(method)[1] == body, (method, path)


@pytest.mark.parametrize("seed", range(6))
def test_however_requests_are_cut(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, seed: int
) -> None:
    """Requests joined and split anywhere get their own answers, each once and in order."""
    chance = random.Random(seed)
    image = shared_hub.add_image("library/cut", "1", [b"cut"])
    base = f"/v2/{image.repository}"
    digest, blob = image.layers[0], b"cut"
    kinds = [
        ("GET", f"{base}/manifests/1", image.manifest),
        ("HEAD", f"{base}/manifests/1", b""),
        ("GET", f"{base}/manifests/{image.digest}", image.manifest),
        ("GET", f"{base}/blobs/{digest}", blob),
        ("GET", "/v2/", b"{}"),
    ]
    for _, path, _ in kinds:
        fetch(f"{shared_mirror.url}{path}")
    with Line(shared_mirror) as line:
        for _ in range(40):
            send_some(chance, line, kinds)
