"""What every case stands on: a scratch folder, the peers that are here, and the rounds."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks.built_peers import Angos, Distribution, Nora
from benchmarks.content import Image, publish
from benchmarks.drayage import cache_folder
from benchmarks.load import LoadFailed
from benchmarks.peers import DockerRegistry, Drayage, Entrepot, Nginx, Peer, Place, start_registry
from benchmarks.processes import DoesNotStart, await_calm
from benchmarks.results import US, Bar, ImageOutcome
from tests.fakes.certificates import Authority

MIB = 1 << 20
# Peers that are left out of cases which have no bar against them, and take each of them minutes.
OPTIONAL = ("distribution-3", "nora", "angos")
ROOT = Path(__file__).parents[1]
# Takes one sample: the measures of one round.
Measure = Callable[[], dict[str, float]]
# A peer that died leaves nothing to divide by and nothing to look at.
FORESEEN = (
    LoadFailed,
    DoesNotStart,
    AssertionError,
    OSError,
    ArithmeticError,
    LookupError,
    ValueError,
    subprocess.SubprocessError,
    httpx.HTTPError,
)


@dataclass
class Bench:
    """One run: its scratch folder on the file system of the kept data, its scale, who is here."""

    folder: Path
    scale: float = 1.0
    seconds: float = 5.0
    present: dict[str, Peer] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def size(self, full: int, least: int = MIB) -> int:
        """Return a size in bytes at this run's scale, in whole MiB."""
        return max(least, round(full * self.scale / MIB) * MIB)

    def count(self, full: int, least: int = 1) -> int:
        """Return a number of things at this run's scale."""
        return max(least, round(full * self.scale))

    def make_folder(self, name: str) -> Path:
        """Return a new empty folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    @contextmanager
    def origin(self, *images: Image, authority: Authority | None = None) -> Iterator[Place]:
        """Start a real docker-registry that has these images; with an authority, behind TLS."""
        folder = self.make_folder("origin")
        for image in images:
            publish(folder / "content", image)
        place = start_registry("direct", folder, authority=authority)
        try:
            yield place
        finally:
            place.stop()

    @contextmanager
    def running(self, peer: Peer, upstream: str) -> Iterator[Place]:
        """Start a peer with nothing in it, and stop it at the end."""
        folder = self.make_folder(peer.name)
        place = peer.start(folder, upstream)
        try:
            await_calm(place.session)
            yield place
        finally:
            place.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def all_running(
        self, stack: ExitStack, upstream: str, prime: Callable[[Place], None]
    ) -> dict[str, Place]:
        """Start everyone who is here and prime each; who fails is noted and left out."""
        places = {}
        for name, peer in self.present.items():
            try:
                place = stack.enter_context(self.running(peer, upstream))
                prime(place)
            except FORESEEN as error:
                self.failures[name] = str(error)
            else:
                places[name] = place
        return places


@dataclass(frozen=True)
class Case:
    """One row of the table. `prepare` makes the data and yields how to take one sample of whom.

    The peers in `without` are not measured. With `is_repeat`, it is another case with another size
    or fault, which a quick run leaves out.
    """

    name: str
    title: str
    prepare: Callable[[Bench], AbstractContextManager[Mapping[str, Measure]]]
    bars: tuple[Bar, ...] = ()
    most_rounds: int = 99
    picture: str = ""  # the measure that the picture shows
    notes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    is_repeat: bool = False


def list_peers() -> tuple[Peer, ...]:
    """Return everyone in the order of the table: the peers, then us."""
    return Nginx(), DockerRegistry(), Distribution(), Nora(), Angos(), Drayage(), Entrepot()


@contextmanager
def open_bench(scale: float, seconds: float) -> Iterator[Bench]:
    """Look who is here, and make a scratch folder that is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="bench-work-", dir=cache_folder()))
    bench = Bench(folder, scale, seconds)
    for peer in list_peers():
        why = peer.explain_absence()
        if why:
            bench.missing[peer.name] = why
            say(f"missing: {peer.name}: {why}")
        else:
            bench.present[peer.name] = peer
    try:
        yield bench
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_case(bench: Bench, case: Case, rounds: int) -> ImageOutcome:
    """Take samples of everyone in turn, and then again; what fails is printed, and not repeated."""
    bench.failures.clear()
    present = {name: peer for name, peer in bench.present.items() if name not in case.without}
    when = datetime.now(UTC).isoformat(timespec="seconds")
    notes = case.notes
    if case.without:
        notes += (f"Not measured here: {', '.join(case.without)}.",)
    outcome = ImageOutcome(case.name, case.title, bench.scale, when, notes=notes)
    outcome.missing = {name: why for name, why in bench.missing.items() if name not in case.without}
    outcome.context = describe_moment(bench)
    say(f"{case.name}: preparing")
    try:
        with case.prepare(replace(bench, present=present)) as measures:
            for number in range(min(rounds, case.most_rounds)):
                _run_round(measures, outcome, number)
    except FORESEEN as error:
        outcome.failures[US] = f"the case could not be run: {_clean(str(error))}"
    for name, why in bench.failures.items():
        outcome.failures.setdefault(name, _clean(why))
    return outcome


def _run_round(measures: Mapping[str, Measure], outcome: ImageOutcome, number: int) -> None:
    for name, measure in measures.items():
        if name in outcome.failures:
            continue
        try:
            sample = measure()
        except FORESEEN as error:
            outcome.failures[name] = _clean(str(error))
            say(f"{outcome.name}: {name} failed: {outcome.failures[name]}")
            continue
        outcome.samples.setdefault(name, []).append(sample)
        figures = ", ".join(f"{key} {value:.4g}" for key, value in sample.items())
        say(f"{outcome.name}: round {number + 1}: {name}: {figures}")


def _clean(text: str) -> str:
    """Return the end of it in one line, without what belongs to this machine alone: folders."""
    text = " ".join(text.split()).replace(str(ROOT), ".")
    return text.replace(str(cache_folder()), "…").replace(str(Path.home()), "~")[-400:]


def say(line: str) -> None:
    """Print on stderr how far the run is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


def describe_moment(bench: Bench) -> str:
    """Return what else bears on the figures of a case: our version, and what the machine did."""
    ours = bench.present.get(US)
    load = os.getloadavg()[0]
    return f"{US} {ours.read_version() if ours else ''}, load before {load:.1f}"


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))
