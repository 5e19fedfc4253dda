"""What the catalog says beside what is on the disk."""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

TAKING = ("blobs", "reservations", "doomed", "quarantine")  # the tables that `usage` adds up
LOOKS = 3  # at the books, one after the other, that have to be right
PATIENCE = 20.0  # seconds until they are


def list_rows(catalog: Path, query: str) -> list[tuple[Any, ...]]:
    """What a SELECT gives, without touching the catalog."""
    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as rows:
        return rows.execute(query).fetchall()


def blob_file(data: Path, digest: str) -> Path:
    """Where a whole blob is."""
    algorithm, encoded = digest.split(":")
    return data / "blobs" / algorithm / encoded[:2] / encoded


def measure(path: Path) -> int | None:
    """The size of a file; None when it is not there."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None


def read_books(catalog: Path) -> tuple[int, dict[str, dict[str, int]]]:
    """What is said to be used, and the sizes by table and digest, all at one moment."""
    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as rows:
        rows.isolation_level = None
        rows.execute("BEGIN")
        tables = {
            name: dict(rows.execute(f"SELECT digest, size FROM {name}").fetchall())
            for name in TAKING
        }
        ((used,),) = rows.execute("SELECT bytes FROM usage").fetchall()
    return used, tables


def list_lies(data: Path) -> list[str]:
    """What the catalog of a store at rest says and the disk does not: blobs, promises and sums."""
    used, tables = read_books(data / "catalog.db")
    lies = []
    for digest, size in tables["blobs"].items():
        if (found := measure(blob_file(data, digest))) != size:
            lies.append(f"{digest} is promised with {size} bytes, and has {found}")
    for digest, size in tables["reservations"].items():
        part = data / "spool" / f"{digest.replace(':', '-')}.part"
        if (found := measure(part)) != size:
            lies.append(f"{digest} was given room for {size} bytes, and its part takes {found}")
    lies += [f"{digest} is to be deleted, and nobody does" for digest in tables["doomed"]]
    total = sum(sum(table.values()) for table in tables.values())
    if used != total:
        lies.append(f"{used} bytes are said to be used, and the rows have {total}")
    return lies


def await_truth_in(data: Path) -> float:
    """Wait until the books of a store are right, and stay so; the seconds that took."""
    began = time.monotonic()
    looks = 0
    while looks < LOOKS:
        lies = list_lies(data)
        looks = 0 if lies else looks + 1
        assert time.monotonic() < began + PATIENCE, "\n".join(lies)
        time.sleep(0.02)
    return time.monotonic() - began
