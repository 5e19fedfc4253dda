"""A hostile upstream in a hundred faces: no crash, limited time and memory, and no one else hurt.

What the mirror says of its faces is its own business, as long as it is an answer.
"""

import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.fakes.raw_server import RawServer
from tests.fakes.upstream import FakeUpstream, Image
from tests.faults.hostile_faces import FACES
from tests.faults.hostile_registry import answer_as, make_layer, name_of
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children
from tests.integration.wire import fetch

AT_ONCE = 16
LONGEST = 29.0  # seconds; clients wait 30
MEMORY = 160 * 2**20  # bytes that a worker may need more than before
WORST = 1.5  # times the median of honest clients without any hostile upstream


@dataclass(frozen=True)
class Outcome:
    """What a client got of a face: a status, or 0 for a connection that was cut."""

    what: str
    status: int
    seconds: float


@pytest.fixture(scope="module")
def honest() -> Iterator[FakeUpstream]:
    with FakeUpstream(auth="none") as upstream:
        yield upstream


@pytest.fixture(scope="module")
def image(honest: FakeUpstream) -> Image:
    return honest.add_image("team/honest", "1", [b"honest" * 9999])


@pytest.fixture(scope="module")
def mirror(
    honest: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MirrorProcess]:
    """A mirror that knows each face as an upstream of its own."""
    with RawServer(partial(answer_as, FACES)) as server:
        upstreams = {f"f{number}.test": f"{server.url}/{number}" for number in range(len(FACES))}
        folder = tmp_path_factory.mktemp("hostile")
        settings = {"tags": {"fresh_for": "0s", "missing_for": "0s"}}
        with MirrorProcess(
            folder, {"docker.io": honest.url} | upstreams, settings, workers=1
        ) as running:
            yield running


def ask(mirror: MirrorProcess, number: int) -> list[Outcome]:
    """Ask for everything of the upstream with this face."""
    digest = name_of(make_layer(number))
    base = f"{mirror.url}/v2/f{number}.test/a/b"
    wanted = ("manifests/1", f"blobs/{digest}", "tags/list", f"referrers/{digest}")
    return [fetch_one(f"{base}/{each}", f"{FACES[number].name} {each[:12]}") for each in wanted]


def fetch_one(url: str, what: str) -> Outcome:
    began = time.monotonic()
    try:
        status = fetch(url).status
    except (http.client.HTTPException, ConnectionError):
        status = 0
    return Outcome(what, status, time.monotonic() - began)


def read_peak(mirror: MirrorProcess) -> int:
    """Return the most memory that one of the processes has had, in bytes."""
    peaks = []
    for pid in await_truth(lambda: list_children(mirror.pid)):
        fields = Path(f"/proc/{pid}/status").read_text().split("VmHWM:")
        peaks.append(int(fields[1].split()[0]) * 1024)
    return max(peaks)


def check(mirror: MirrorProcess, outcomes: Sequence[Outcome], before: int) -> None:
    """Look whether every face got its answer, and the mirror is well."""
    assert [each for each in outcomes if each.status == 500 or each.seconds > LONGEST] == []
    log = mirror.log()
    assert "Traceback" not in log
    assert "crashed" not in log
    assert read_peak(mirror) - before < MEMORY


@pytest.mark.parametrize("is_all", [False, pytest.param(True, marks=pytest.mark.programs)])
def test_every_face_gets_an_answer(mirror: MirrorProcess, image: Image, *, is_all: bool) -> None:
    """Each face, in each kind of request: an answer in time, without a crash, in little memory."""
    quick = [number for number, face in enumerate(FACES) if not face.is_slow]
    numbers = range(len(FACES)) if is_all else quick[::3]
    before = read_peak(mirror)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = [each for found in pool.map(lambda n: ask(mirror, n), numbers) for each in found]

    check(mirror, outcomes, before)
    assert fetch(f"{mirror.url}/v2/team/honest/manifests/1").body == image.manifest


@pytest.mark.alone
def test_clients_of_other_upstreams_notice_nothing(mirror: MirrorProcess, image: Image) -> None:
    """While one client after the other asks for hostile faces, an honest pull takes as long."""
    url = f"{mirror.url}/v2/team/honest/manifests/1"
    alone = measure(url)
    ending = threading.Event()
    numbers = [number for number, face in enumerate(FACES) if not face.is_slow]

    def attack() -> None:
        for number in numbers * 9:
            if ending.is_set():
                return
            ask(mirror, number)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        beside = measure(url)
    finally:
        ending.set()
        attacker.join()
    assert beside < WORST * alone + 0.001, (alone, beside)


def measure(url: str) -> float:
    """Return the median of pulls of a manifest, in seconds."""
    return statistics.median(fetch(url).seconds for _ in range(300))
