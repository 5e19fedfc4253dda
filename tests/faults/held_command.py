"""A command of `entrepot` that is held until it is wanted, so that a moment of its work is met."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.harness.commands import clean_environment
from tests.harness.deadline import await_truth


class HeldCommand:
    """Starts at once, and waits for its configuration, which is a pipe, until it is released."""

    def __init__(self, pipe: Path, config: Path, *words: str) -> None:
        self.name = " ".join(words[:2])
        self._pipe = pipe
        self._config = config
        os.mkfifo(pipe)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "registry", *words, "--config", str(pipe)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )

    def release(self, catalog: Path) -> None:
        """Give it its configuration once it asks, and wait until it opens the catalog."""
        descriptor = await_truth(self._open)
        with os.fdopen(descriptor, "wb") as pipe:
            pipe.write(self._config.read_bytes())
        await_truth(lambda: self._process.poll() is not None or self._has_open(catalog))

    def _has_open(self, path: Path) -> bool:
        with suppress(FileNotFoundError):  # a descriptor was closed meanwhile
            return any(
                each.readlink() == path for each in Path(f"/proc/{self._process.pid}/fd").iterdir()
            )
        return False

    def _open(self) -> int | None:
        with suppress(OSError):  # nobody reads it yet
            return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        return None

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        self._process.kill()

    def join(self) -> tuple[int, str]:
        """Wait for its end; the exit code (negative when it was killed) and what it printed."""
        output, complaint = self._process.communicate(timeout=60)
        self._pipe.unlink()
        assert "Traceback" not in complaint, complaint
        return self._process.returncode, output
