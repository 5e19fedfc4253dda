"""How cost grows: against clients at once, and against what is known.

    python -m benchmarks growth

Beyond 200,000 blobs only the catalog grows: files are an affair of the file system, and a million
of them would take longer to make than everything else here.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.bench import Bench, say
from benchmarks.cases.stores import AGAIN, fill_mirror, make_mirror, measure_lookups, measure_start
from benchmarks.curves import Curve, draw_curves, print_table
from benchmarks.load import Request, pull, run_wrk
from benchmarks.peers import Place
from benchmarks.processes import Usage, await_calm, read_usage
from benchmarks.store import MOST_FILES, fill_store
from tests.harness.mirror import MirrorProcess

CLIENTS = (1, 10, 100, 1000)
BLOBS = (1_000, 10_000, 100_000, 1_000_000)
PER_MANIFEST = 4
ASKED = 200  # manifests looked up one by one
TAG = "/v2/bench/r0/manifests/v0"
NOTE = f"For more than {MOST_FILES:,} blobs only catalog rows were made, no files."

Row = dict[str, float]


def measure_growth(bench: Bench, out: Path | None, machine: Mapping[str, str]) -> None:
    """Measure both, print them, and write `growth.json`, `growth.md` and `growth.svg`."""
    by_clients = [_measure_clients(bench, count) for count in _scaled(bench, CLIENTS)]
    by_blobs = [_measure_blobs(bench, count) for count in _scaled(bench, BLOBS, least=800)]
    text = f"# How cost grows\n\n{_machine(machine)}\n\n{print_table(by_clients)}\n\n"
    text += f"{print_table(by_blobs)}\n\n{NOTE}\n\n![growth](growth.svg)\n"
    sys.stdout.write(text)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "clients": by_clients, "blobs": by_blobs, "note": NOTE}
    (out / "growth.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    curves = [
        *_curves(by_clients, "clients", "clients at once, one tag"),
        *_curves(by_blobs, "blobs", "blobs known"),
    ]
    (out / "growth.svg").write_text(draw_curves(curves), encoding="utf-8")
    (out / "growth.md").write_text(text, encoding="utf-8")


def _scaled(bench: Bench, counts: Sequence[int], least: int = 1) -> list[int]:
    """Return the counts of a run at this scale: a reduced one stops earlier."""
    return [count for count in counts if count <= max(least, bench.scale * max(counts))]


def _machine(machine: Mapping[str, str]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in machine.items())


def _curves(rows: Sequence[Row], axis: str, label: str) -> list[Curve]:
    names = [name for name in rows[0] if name != axis] if rows else []
    return [Curve(name, label, [(row[axis], row[name]) for row in rows]) for name in names]


def _measure_clients(bench: Bench, count: int) -> Row:
    mirror, _ = fill_mirror(bench, 4000, 1000)
    with mirror.start_anew():
        await_calm(mirror.pid)
        place = _place(mirror)
        pull(place.port, [[Request(TAG)]] * 8).require()
        before = read_usage(place.session)
        seen = run_wrk(place, TAG, connections=count, seconds=bench.seconds)
        after = read_usage(place.session)
    row = {
        "clients": float(count),
        "median, ms": seen.median * 1e3,
        "99th percentile, ms": seen.p99 * 1e3,
        "requests/s": seen.rate,
        "CPU, µs each": (after.cpu - before.cpu) / seen.requests * 1e6,
        "peak RSS, MiB": after.peaks[0],
    }
    say(f"growth: {row}")
    return row


def _measure_blobs(bench: Bench, count: int) -> Row:
    mirror = make_mirror(bench)
    store = fill_store(mirror.data, count, count // PER_MANIFEST)
    ready = measure_start(mirror)["ready"]
    with mirror.start_anew():
        await_calm(mirror.pid)
        before = read_usage(mirror.pid)
        asked = store.sample(min(ASKED, store.manifests))
        times = measure_lookups(mirror, asked)
        after: Usage = read_usage(mirror.pid)
    row = {
        "blobs": float(count),
        "ready, s": ready,
        "lookup, ms": times["lookup"],
        "hit, ms": times["latency"],
        "CPU, µs each": (after.cpu - before.cpu) / (len(asked) + AGAIN) * 1e6,
        "peak RSS, MiB": after.peaks[0],
    }
    say(f"growth: {row}")
    return row


def _place(mirror: MirrorProcess) -> Place:
    return Place("entrepot", int(mirror.url.rpartition(":")[2]), mirror.pid, mirror.stop)
