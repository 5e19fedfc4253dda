"""Access records, as another program reads them."""

import json
from typing import Any

from tests.harness.mirror import MirrorProcess
from tests.integration.wire import wait_until


def read_records(mirror: MirrorProcess) -> list[dict[str, Any]]:
    """Return all records."""
    folder = mirror.data / "access-records"
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def await_records(mirror: MirrorProcess, count: int, **facts: object) -> list[dict[str, Any]]:
    """Wait until so many answers with these facts are recorded; return their records."""

    def find() -> list[dict[str, Any]]:
        return [each for each in read_records(mirror) if facts.items() <= each.items()]

    wait_until(lambda: sum(each["count"] for each in find()) >= count, f"records of {facts}")
    return find()
