"""kill -9 while a catalog of the first version is brought up to date: it is the old or the new."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.faults.consistency import await_consistency, list_rows, read_usage
from tests.faults.load import pull
from tests.harness.deadline import await_truth
from tests.harness.large_layer import KIB
from tests.harness.mirror import MirrorProcess
from tests.harness.sizes import list_sizes

SEED = 16
SPAN = 0.03  # seconds from when the catalog is opened within which the mirror is killed
FORMER = ("manifests", "links", "holdings", "grants", "tags", "lists", "blobs", "budgets")
KILLS = list_sizes(long=8, full=40, seconds=600)
Rows = dict[str, list[tuple[object, ...]]]


def read_former(catalog: Path) -> Rows:
    """The rows that the first version would have: it did not write manifests down as blobs."""
    rows: Rows = {name: sorted(list_rows(catalog, f"SELECT * FROM {name}")) for name in FORMER}
    rows["tags"] = [row[:4] for row in rows["tags"]]  # later versions know more of them
    rows["grants"] = [row[:3] for row in rows["grants"]]
    manifests = {row[0] for row in rows["manifests"]}
    rows["blobs"] = [row for row in rows["blobs"] if row[0] not in manifests]
    return rows


def age(catalog: Path, rows: Rows) -> None:
    """Make the catalog one of the first version, with these rows."""
    forget(catalog)
    script = files("registry.catalog") / "migrations" / "0001_core.sql"
    with closing(sqlite3.connect(catalog)) as former:
        former.execute("PRAGMA journal_mode = WAL")
        former.executescript(script.read_text(encoding="utf-8"))
        for name, values in rows.items():
            for row in values:
                former.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
        former.execute("PRAGMA user_version = 1")
        former.commit()


def forget(catalog: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        catalog.with_name(catalog.name + suffix).unlink(missing_ok=True)


def kill_at_start(mirror: MirrorProcess, delay: float) -> None:
    """Start the mirror, and kill all of it so many seconds after it has opened the catalog."""
    journal = mirror.data / "catalog.db-wal"
    with mirror.log_path.open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "registry", "serve", "--config", str(mirror.config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        await_truth(lambda: journal.exists() or started.poll() is not None)
        assert started.poll() is None, mirror.log()
        time.sleep(delay)
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def read_version(catalog: Path, former: Rows, copy: Path) -> int:
    """The version of what a kill has left, which has to be whole; looked at in a copy of it."""
    forget(copy)
    for path in catalog.parent.glob("catalog.db*"):
        shutil.copy(path, copy.with_name(path.name.replace(catalog.name, copy.name)))
    with closing(sqlite3.connect(copy)) as rows:
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (version,) = rows.execute("PRAGMA user_version").fetchone()
        names = {row[0] for row in rows.execute("SELECT name FROM sqlite_master")}
    found = read_former(copy)
    assert found == former
    if version == 1:
        assert "usage" not in names
    else:
        used, tables = read_usage(copy)
        assert used == sum(tables["blobs"].values())
        assert {row[0] for row in former["manifests"]} <= tables["blobs"].keys()
    return int(version)


@pytest.mark.parametrize("kills", KILLS)
def test_a_migration_survives_kills(
    hub: FakeUpstream,
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Callable[[str], None],
    kills: int,
) -> None:
    """Whenever it is killed, all former rows are there; then all is served without an upstream."""
    chance = random.Random(SEED)
    images = [
        hub.add_image(f"aged/i{number}", "1", [chance.randbytes(16 * KIB) for _ in range(4)])
        for number in range(8)
    ]
    mirror = make_mirror({"storage": {"audit_rate": 0}, "tags": {"fresh_for": "1h"}}, workers=1)
    for image in images:
        pull(mirror, image)
    await_consistency(mirror.data)
    mirror.stop()
    catalog = mirror.data / "catalog.db"
    former = read_former(catalog)
    left: Counter[int] = Counter()
    for _ in range(kills):
        age(catalog, former)
        kill_at_start(mirror, chance.random() * SPAN)
        left[read_version(catalog, former, tmp_path / "copy.db")] += 1
    hub.stop()

    mirror.start()

    await_consistency(mirror.data)
    for image in images:
        pull(mirror, image)
    note(f"seed {SEED}, {kills} kills left these versions so often: {dict(left)}")
    assert mirror.run("cache", "audit").returncode == 0
    assert not mirror.events("catalog rebuilt")
