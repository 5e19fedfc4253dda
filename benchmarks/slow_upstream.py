"""A slow upstream: the scriptable fake in a process of its own, asked over pipes what it sent.

with SlowUpstream("bench/slow", size, rate=40 * MIB) as upstream:
    ...
    upstream.count_sent()
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.fakes.upstream import FakeUpstream

ROOT = Path(__file__).parents[1]


class SlowUpstream:
    """One image `repository:1` with one layer, at a rate in bytes a second."""

    def __init__(
        self,
        repository: str,
        size: int,
        *,
        rate: int | None = None,
        connection_rate: int | None = None,
    ) -> None:
        self.repository = repository
        self.size = size
        options = {"rate": rate, "connection_rate": connection_rate}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.slow_upstream"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._hello = self._ask({"repository": repository, "size": size, **options})

    @property
    def host(self) -> str:
        """Its host:port."""
        return str(self._hello["host"])

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.host.rpartition(":")[2])

    @property
    def digest(self) -> str:
        """The layer's digest."""
        return str(self._hello["digest"])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def count_sent(self) -> int:
        """Return how many bytes of the layer it has sent since it was asked last."""
        return int(self._ask({})["sent"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            return {}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input ends it


def run() -> None:
    """Serve until standard input ends."""
    wish = json.loads(sys.stdin.readline())
    with FakeUpstream(auth="none") as hub:
        hub.redirect_blobs = False
        hub.rate, hub.connection_rate = wish["rate"], wish["connection_rate"]
        digest = hub.add_big_blob(wish["size"], seed=wish["size"])
        hub.add_image(wish["repository"], "1", [digest])
        _print_line({"host": hub.host, "digest": digest})
        for _ in sys.stdin:
            _print_line({"sent": hub.journal.bytes_sent(digest)})
            hub.journal.clear()


def _print_line(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run()
