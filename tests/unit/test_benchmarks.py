"""Laws of the benchmarks: figures are summed up correctly, and wrong answers are found."""

import hashlib
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from xml.etree import ElementTree as ET

import pytest

from benchmarks.__main__ import EVIDENCE, choose_cases, parse_arguments
from benchmarks.bench import Bench, Case, run_case
from benchmarks.cases import CASES
from benchmarks.chart import draw_bars
from benchmarks.curves import Curve, draw_curves
from benchmarks.load import LoadFailed, Request, pull, read_wrk, verify
from benchmarks.report import load_outcomes, print_report, save_report
from benchmarks.results import US, Bar, ImageOutcome, Spread, State, judge
from benchmarks.store import fill_store, make_manifest
from registry.server.tls import load_tls
from tests.fakes.certificates import make_authority

BODY = bytes(range(256)) * 1024
DIGEST = "sha256:" + hashlib.sha256(BODY).hexdigest()
WRK_OUTPUT = """\
  Latency Distribution
     50%    1.16ms
     75%    2.00ms
     90%    5.51ms
     99%    8.62ms
  16920 requests in 1.00s, 20.16MB read
Requests/sec:  16915.33
"""
SVG = "{http://www.w3.org/2000/svg}svg"
WALL = Bar("wall", "<=", 1.15, ("nginx",))


def make_outcome(ours: list[float], theirs: list[float]) -> ImageOutcome:
    outcome = ImageOutcome("hot", "hot blob", 1.0)
    outcome.samples[US] = [{"wall": value} for value in ours]
    if theirs:
        outcome.samples["nginx"] = [{"wall": value} for value in theirs]
    return outcome


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the body; `/short` is cut, `/gone` does not exist.

    `/user` does not exist without a header that says who asks.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        is_hidden = self.path == "/user" and self.headers["X-User"] != "me"
        self.send_response(404 if self.path == "/gone" or is_hidden else 200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:100] if self.path == "/short" else BODY)
        self.close_connection = self.path == "/short"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def port() -> Iterator[int]:
    with serve() as port:
        yield port


def test_a_spread_is_the_median_and_the_extremes() -> None:
    """One slow round changes the extremes and not the median."""
    assert Spread.of([1.0, 9.0, 1.1]) == Spread(1.1, 1.0, 9.0)


def test_ratios_are_taken_within_a_round() -> None:
    """If both sides of a round are slow, the ratio does not change."""
    outcome = make_outcome([1.0, 10.0, 1.0], [2.0, 20.0, 2.0])
    assert outcome.ratio("wall", "nginx") == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize(("ours", "state"), [(1.1, State.MET), (1.2, State.MISSED)])
def test_a_bar_is_held_against_the_median_ratio(ours: float, state: State) -> None:
    """A bar of 1.15 is met by a ratio of 1.1, and missed by 1.2."""
    assert judge(make_outcome([ours] * 3, [1.0] * 3), WALL).state is state


def test_a_bar_without_its_peer_is_unknown() -> None:
    """Without its peer a bar is unknown, with the reason, and never met."""
    outcome = make_outcome([0.1], [])
    outcome.missing["nginx"] = "nginx is not installed"
    verdict = judge(outcome, WALL)
    assert (verdict.state, verdict.why) == (State.UNKNOWN, "nginx is not installed")


def test_a_bar_of_several_peers_is_held_against_the_best() -> None:
    """The best of some peers has the best median; one that is not built is named."""
    outcome = make_outcome([1.0] * 3, [0.5, 2.0, 2.0])
    outcome.samples["nora"] = [{"wall": 1.25}] * 3
    outcome.missing["angos"] = "angos is not built"
    verdict = judge(outcome, Bar("wall", "<=", 0.9, ("nginx", "nora", "angos")))
    assert (verdict.state, verdict.rival, verdict.why) == (State.MET, "nora", "angos is not built")
    case = Case("hot", "hot", lambda _: nullcontext({}), (verdict.bar,))
    assert "0.8 x nora (0.8 to 0.8); angos is not built" in print_report(
        [case], {"hot": outcome}, {}
    )


def test_what_we_cannot_do_is_missed() -> None:
    """If the mirror itself fails, the bar is missed, even after good rounds."""
    outcome = make_outcome([0.1], [1.0])
    outcome.failures[US] = "cut"
    assert judge(outcome, WALL).state is State.MISSED


def test_missing_peers_are_named_in_table_and_picture() -> None:
    """A missing peer is in the table and in the picture, with the reason."""
    outcome = make_outcome([1.0], [1.1])
    outcome.missing["drayage"] = "no wheel for this machine"
    outcomes = {"hot": outcome}
    report, picture = print_report(CASES, outcomes, {}), draw_bars(CASES, outcomes)
    expected = [True, True]
    assert expected == ["no wheel for this machine" in text for text in (report, picture)]


def test_a_failing_peer_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    """A failed peer is not measured again; the others get all rounds."""

    def fail() -> dict[str, float]:
        raise LoadFailed("status 500")

    measures = {"nginx": fail, US: lambda: {"wall": 1.0}}
    outcome = run_case(Bench(tmp_path), Case("x", "x", lambda _: nullcontext(measures)), 3)
    expected = ({"nginx": "status 500"}, 3)
    assert expected == (outcome.failures, len(outcome.samples[US]))


def test_a_reason_is_one_line(tmp_path: Path) -> None:
    """The last words of a dead server, over several lines, do not break the table."""

    def fail() -> dict[str, float]:
        raise LoadFailed("Traceback:\n  ^^^^\nNameError: gone")

    outcome = run_case(Bench(tmp_path), Case("x", "x", lambda _: nullcontext({US: fail})), 1)
    expected = {US: "Traceback: ^^^^ NameError: gone"}
    assert expected == outcome.failures


def test_rounds_are_interleaved(tmp_path: Path) -> None:
    """All are measured once before one is measured again."""
    order: list[str] = []

    def note(name: str) -> dict[str, float]:
        order.append(name)
        return {"wall": 1.0}

    measures = {"a": lambda: note("a"), "b": lambda: note("b")}
    run_case(Bench(tmp_path), Case("x", "x", lambda _: nullcontext(measures)), 2)
    expected = ["a", "b", "a", "b"]
    assert expected == order


def test_a_saved_run_is_merged_into(tmp_path: Path) -> None:
    """If one case runs again, the saved results of other cases are kept."""
    first, second = make_outcome([1.0], [1.0]), make_outcome([2.0], [1.0])
    second.name = "cold"
    save_report(tmp_path, CASES, {"hot": first}, {})
    save_report(tmp_path, CASES, {"cold": second}, {})
    assert {"hot": first, "cold": second} == load_outcomes(tmp_path / "bench.json")


def test_pictures_are_well_formed() -> None:
    """Both pictures are XML for any title or reason."""
    outcome = make_outcome([1.0, 3.0], [0.5, 0.7])
    outcome.failures["drayage"] = "<cut> & gone"
    curve = Curve("requests/s", "clients", [(1, 3.0), (10, 0.02), (1000, 5e6)])
    for picture in (draw_bars(CASES, {"hot": outcome}), draw_curves([curve])):
        found = ET.fromstring(picture).tag
        expected = SVG
        assert expected == found


def test_reduced_runs_are_not_evidence() -> None:
    """Only runs of several rounds at full size are saved without an option."""
    outs = [
        parse_arguments(line.split()).out for line in ("--quick", "--scale 0.1", "--rounds 1", "")
    ]
    expected = [None, None, None, EVIDENCE]
    assert expected == outs


def test_the_quick_run_has_a_case_of_each_kind() -> None:
    """The run in CI has all cases but those that repeat one with another size or fault."""
    quick = choose_cases(parse_arguments(["--quick"]).case, is_quick=True)
    left_out = {case.name for case in CASES if case not in quick}
    sizes = {"cold-192", "cold-96", "cold-tls-192", "cold-tls-96"}
    others = {"endpoints-cut", "endpoints-429", "users-path", "users-certificate"}
    assert left_out == sizes | others


def test_cases_have_names_of_their_own() -> None:
    """Each case has its own name, and is in the table once."""
    assert [[case] for case in CASES] == [choose_cases([case.name]) for case in CASES]


def test_clients_take_whole_answers(port: int) -> None:
    """All clients read all bytes of each answer, over kept connections."""
    seen = pull(port, [[Request("/", len(BODY))] * 3] * 5, processes=2, hashes=True).require()
    found = (seen.received, len(seen.times), len(seen.firsts), seen.digests)
    assert (15 * len(BODY), 15, 5, (DIGEST.removeprefix("sha256:"),)) == found


def test_clients_say_who_they_are(port: int, tmp_path: Path) -> None:
    """With a header, or over TLS with a certificate that the server wants."""
    request = Request("/user", len(BODY))
    with pytest.raises(LoadFailed, match="status 404"):
        pull(port, [[request]]).require()
    assert pull(port, [[request]], headers=["X-User: me"]).require().received == len(BODY)

    authority = make_authority(tmp_path)
    server = load_tls(authority.files_of_users)
    server.verify_mode = ssl.CERT_REQUIRED
    certificate = authority.sign_client("me")
    own = [str(each) for each in (authority.root, certificate, certificate.with_suffix(".key"))]
    with serve(server) as secure:
        seen = pull(secure, [[Request("/", len(BODY))] * 3] * 2, hashes=True, tls=own).require()

    assert (6 * len(BODY), (DIGEST.removeprefix("sha256:"),)) == (seen.received, seen.digests)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("/gone"), "status 404 where 200 was expected"),
        (Request("/", len(BODY) - 1), "bytes announced"),
        (Request("/", len(BODY), "bytes=0-9"), "status 200 where 206 was expected"),
        (Request("/short", len(BODY)), "closed"),
    ],
)
def test_wrong_answers_are_not_measured(port: int, request_: Request, reason: str) -> None:
    """A wrong status, a wrong length or an early end is an error."""
    with pytest.raises(LoadFailed, match=reason):
        pull(port, [[request_]]).require()


def test_wrong_content_is_found(port: int) -> None:
    """A pass without measuring compares all bytes with the digest."""
    verify(port, "/", DIGEST, len(BODY))
    with pytest.raises(LoadFailed, match="content of / is wrong"):
        verify(port, "/", "sha256:" + "0" * 64, len(BODY))


def test_wrk_is_read_with_its_units() -> None:
    """Latencies are in seconds, whatever unit wrk prints."""
    seen = read_wrk(WRK_OUTPUT)
    expected = (16915.33, 16920, 0.00116, 0.00862)
    assert expected == (seen.rate, seen.requests, seen.median, seen.p99)


@pytest.mark.parametrize(
    "line", ["Non-2xx or 3xx responses: 4", "Socket errors: connect 0, read 3"]
)
def test_wrk_with_errors_is_not_believed(line: str) -> None:
    """If one answer was an error, the rate of wrk is not used."""
    with pytest.raises(LoadFailed, match=line[:12]):
        read_wrk(WRK_OUTPUT + line)


def test_a_filled_store_is_known_to_the_catalog(tmp_path: Path) -> None:
    """Rows and files are complete, and manifests agree with their digests."""
    fill_store(tmp_path / "data", 40, 10)
    catalog = sqlite3.connect(tmp_path / "data" / "catalog.db")
    tables = ("blobs", "manifests", "tags", "links")
    counts = [catalog.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    catalog.close()
    files = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    known = make_manifest(3, 4)
    file = next(path for path in files if path.name == known.digest.removeprefix("sha256:"))
    assert ([50, 10, 10, 40], 50, known.raw) == (counts, len(files), file.read_bytes())
