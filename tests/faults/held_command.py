"""A command of `entrepot` that is held until it is wanted, so that a moment of its work is met."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.harness.commands import clean_environment
from tests.harness.deadline import await_truth


class HeldCommand:
    """Starts at once, and waits for its configuration, which is its input, until it is released."""

    def __init__(self, config: Path, *words: str) -> None:
        self.name = " ".join(words[:2])
        self._config = config
        self._process = subprocess.Popen(
            [sys.executable, "-m", "registry", *words, "--config", "/dev/stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )

    def release(self, catalog: Path) -> None:
        """Give it its configuration once it asks, and wait until it opens the catalog."""
        await_truth(self._is_asking)
        with suppress(BrokenPipeError), self._input() as pipe:
            pipe.write(self._config.read_text())
        await_truth(lambda: self._process.poll() is not None or self._has_open(catalog))

    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _has_open(self, path: Path) -> bool:
        return str(path) in self._list_open()

    def _is_asking(self) -> bool:
        """Whether it has opened its input as a file, besides its standard input, or has ended."""
        pipe = f"pipe:[{os.fstat(self._input().fileno()).st_ino}]"
        return self._list_open().count(pipe) > 1 or self._process.poll() is not None

    def _list_open(self) -> list[str]:
        with suppress(FileNotFoundError):  # a descriptor was closed meanwhile
            folder = Path(f"/proc/{self._process.pid}/fd")
            return [str(each.readlink()) for each in folder.iterdir()]
        return []

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        self._process.kill()

    def join(self) -> tuple[int, str]:
        """Wait for its end; the exit code (negative when it was killed) and what it printed."""
        self._process.stdin = None  # it was closed when the command was released
        output, complaint = self._process.communicate(timeout=60)
        assert "Traceback" not in complaint, complaint
        return self._process.returncode, output
