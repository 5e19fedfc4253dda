"""Whether the catalog agrees with the files on the disk."""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

TAKING = ("blobs", "reservations", "doomed", "quarantine")  # the tables that `usage` adds up
CHECKS = 3  # checks in a row that must find no contradiction
PATIENCE = 20.0  # seconds until they do


def list_rows(catalog: Path, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a SELECT; the catalog is opened for reading only."""
    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as rows:
        return rows.execute(query).fetchall()


def blob_file(data: Path, digest: str) -> Path:
    """Return the path of a stored blob."""
    algorithm, encoded = digest.split(":")
    return data / "blobs" / algorithm / encoded[:2] / encoded


def measure(path: Path) -> int | None:
    """Return the size of a file; None when it is missing."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None


def read_usage(catalog: Path) -> tuple[int, dict[str, dict[str, int]]]:
    """Return the recorded sum of used bytes, and the sizes by table and digest, of one moment."""
    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as rows:
        rows.isolation_level = None
        rows.execute("BEGIN")
        tables = {
            name: dict(rows.execute(f"SELECT digest, size FROM {name}").fetchall())
            for name in TAKING
        }
        ((used,),) = rows.execute("SELECT bytes FROM usage").fetchall()
    return used, tables


def list_contradictions(data: Path) -> list[str]:
    """Return each contradiction between the catalog and the files of an idle store."""
    used, tables = read_usage(data / "catalog.db")
    found = []
    for digest, size in tables["blobs"].items():
        if (actual := measure(blob_file(data, digest))) != size:
            found.append(f"{digest} is recorded with {size} bytes, and has {actual}")
    for digest, size in tables["reservations"].items():
        part = data / "spool" / f"{digest.replace(':', '-')}.part"
        if (actual := measure(part)) != size:
            found.append(f"{digest} has reserved {size} bytes, and its partial file takes {actual}")
    found += [f"{digest} is still marked as being deleted" for digest in tables["doomed"]]
    total = sum(sum(table.values()) for table in tables.values())
    if used != total:
        found.append(f"{used} bytes are recorded as used, and the rows have {total}")
    return found


def await_consistency(data: Path) -> float:
    """Wait until catalog and disk of a store agree, and stay so; return the seconds it took."""
    began = time.monotonic()
    checks = 0
    while checks < CHECKS:
        found = list_contradictions(data)
        checks = 0 if found else checks + 1
        assert time.monotonic() < began + PATIENCE, "\n".join(found)
        time.sleep(0.02)
    return time.monotonic() - began
